"""SmtpClient: an SMTP and LMTP client (RFC 5321 §3, RFC 2033) without I/O: octets in, events out, octets to write.

    client.connected(); loop: client.receive(octets); while event := client.next_event(): ...; write(client.output())

Rules
1. With PIPELINING (RFC 2920): MAIL, RCPT ... and DATA go out in one piece, and the next letter's envelope rides behind
   the final dot, so that `can_send` is True again once the content is out. At most MAX_IN_FLIGHT letters are open at
   once: what is open when a connection dies may arrive twice. Without PIPELINING: one command, one answer.
2. With CHUNKING (RFC 3030): BDAT LAST, once the recipients are known, for content that is fed piece by piece (nothing
   to stuff), and without PIPELINING for any (one answer less to wait for). Else DATA, even where BDAT could go out with
   the envelope: nothing is sent for recipients that are refused; a kept connection that was closed meanwhile has taken
   nothing yet; and on a kept connection it saves no round trip, because the next envelope rides (docs/performance.md).
   A BDAT that fails leaves the server in an unknown state (§2), so RSET goes before a letter behind one.
3. A reply that is none, or that nobody asked for, ends the session (Phase.GARBAGE); 421 does so at any time. What was
   open is in `lost`: unknown, never failed.
4. If no recipient was accepted but DATA gets 354, only the final dot is sent (RFC 2920 §3.1).
5. LMTP: after the content one reply for each accepted recipient, in their order (RFC 2033 §4.2).
6. RSET only where a mail transaction may still be open at the server.

The session's life is here, its beginning in `client_handshake`, the letters' steps in `client_transfers`, what is said
about a letter in `client_letter`. Called by `delivery.smtp_connection`. Nothing here raises because of what the server
sends; `LocalProtocolError` is our caller's mistake.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from ekiden.model.reply import Reply
from ekiden.proto.smtp.client_events import (
    ClientEvent,
    ClientSettings,
    CutWanted,
    PeerClosing,
    Phase,
    Ready,
    SessionEnded,
    SessionRefused,
    Transaction,
)
from ekiden.proto.smtp.client_handshake import INJECTION, ClientHandshake, HandshakeEvent
from ekiden.proto.smtp.client_transfers import Cut, Transfers
from ekiden.proto.smtp.extensions import Capabilities
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.reply_reader import PeerProtocolError, ReplyReader
from ekiden.proto.smtp.timeouts import Wait


class State(Enum):
    NEW = auto()
    HANDSHAKE = auto()
    READY = auto()
    REFUSED = auto()  # it still listens: QUIT is possible
    QUITTING = auto()
    CLOSED = auto()


class SmtpClient:
    """One session with one server. `progress` grows with each reply and each piece of content: for deadlines.
    `events`: what the caller must know, oldest first; it takes them out."""

    __slots__ = (
        "_handshake",
        "_out",
        "_quit_wanted",
        "_reader",
        "_settings",
        "_state",
        "_transfers",
        "events",
        "progress",
    )

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._state = State.NEW
        self._reader = ReplyReader()
        self.events: deque[ClientEvent] = deque()
        self._out: list[bytes] = []
        self._handshake: ClientHandshake | None = None
        self._transfers = self._make_transfers({})
        self._quit_wanted = False
        self.progress = 0

    def _make_transfers(self, extensions: dict[str, str]) -> Transfers:
        peer = Capabilities(extensions)
        return Transfers(peer, self._reader, self._out, self.events, lmtp=self._settings.lmtp)

    # -- what the caller asks ----------------------------------------------------------------------------------------

    def next_event(self) -> ClientEvent | None:
        """The next thing the caller must know; None: nothing for now."""
        return self.events.popleft() if self.events else None

    def output(self) -> bytes:
        """Takes what is to be written; b'' if nothing."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    @property
    def can_send(self) -> bool:
        """`send` is allowed: ready, and nothing in flight or, with PIPELINING, the last content is completely out."""
        return self._state is State.READY and not self._quit_wanted and self._transfers.can_send

    @property
    def in_flight(self) -> int:
        """Transactions that have begun and not ended."""
        return len(self._transfers.flights)

    @property
    def is_exhausted(self) -> bool:
        """The server takes no more transactions on this session (MAILMAX, RFC 9422 §4.1)."""
        return self._state is State.READY and self._transfers.is_exhausted

    @property
    def is_closed(self) -> bool:
        """Neither side has anything more to say."""
        return self._state is State.CLOSED

    @property
    def deadline_kind(self) -> Wait | None:
        """What the session waits for now (RFC 5321 §4.5.3.2); None: for nothing, it is idle or closed."""
        if self._state is State.READY:
            return self._transfers.wait
        if self._state is State.HANDSHAKE and self._handshake is not None:
            return self._handshake.wait
        return Wait.QUIT if self._state is State.QUITTING else None

    # -- what the caller tells ---------------------------------------------------------------------------------------

    def connected(self, *, tls_active: bool = False, verified: bool = False) -> None:
        """The wire stands. `verified`: TLS has proven the server's name."""
        if self._state is not State.NEW:
            raise LocalProtocolError("connected twice")
        self._state = State.HANDSHAKE
        self._handshake = ClientHandshake(self._settings, self._reader, tls_active=tls_active, verified=verified)

    def tls_started(self, *, verified: bool) -> None:
        """The handshake after StartTlsWanted is done. All that was learned in clear is dropped (RFC 3207 §4.2)."""
        if self.is_closed:
            return
        if self._handshake is None or self._handshake.wait is not Wait.HANDSHAKE:
            raise LocalProtocolError("TLS without StartTlsWanted")
        self.progress += 1
        if self._reader.has_octets:  # Part of a line in clear, of which no reply came.
            self._handshake_answer(*self._handshake.injected())
        else:
            self._handshake_answer(*self._handshake.tls_started(verified=verified))

    def send(self, transaction: Transaction) -> None:
        """Allowed while `can_send`. Events may follow at once: what the server cannot take ends before MAIL."""
        if not self.can_send:
            raise LocalProtocolError("send while can_send is False")
        self._transfers.send(transaction)

    def content(self, data: bytes) -> None:
        """A piece of the content that ContentWanted asked for, of any size. Events may follow. Ignored when closed."""
        if self.is_closed:
            return
        self.progress += 1
        try:
            self._transfers.content(data)
        except Cut as cut:
            self._end(CutWanted(cut.reply))

    def end_content(self) -> None:
        """The content is complete. One that cannot be completed is never ended: abort the wire."""
        if self.is_closed:
            return
        self.progress += 1
        try:
            self._transfers.end_content()
        except Cut as cut:
            self._end(CutWanted(cut.reply))

    def quit(self) -> None:
        """QUIT, after the transactions under way. Idempotent; does nothing on a session that is closed."""
        if self._state in (State.QUITTING, State.CLOSED):
            return
        self._quit_wanted = True
        if self.in_flight:
            return
        if self.deadline_kind is Wait.HANDSHAKE:  # Nothing may be written now.
            self._end(SessionEnded())
            return
        self._state = State.QUITTING
        self._out.append(b"QUIT\r\n")

    def lost(self) -> list[Transaction]:
        """The wire is gone: the transactions that had not ended, oldest first; `replies` says what is known."""
        unfinished = list(self._transfers.flights)
        self._transfers.flights.clear()
        self._close()
        return unfinished

    # -- what the server says ----------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Octets from the server, cut anywhere. Never raises because of what they are."""
        closed = State.CLOSED
        if self._state is closed:
            return
        reader = self._reader
        reader.feed(data)
        try:
            while self._state is not closed and (code := reader.next()):
                self.progress += 1
                if self._state is State.READY:
                    self._ready_reply(code)
                elif self._state is State.HANDSHAKE and self._handshake is not None:
                    self._handshake_answer(*self._handshake.answered(code), listens=code != 421)
                else:
                    self._parting_reply(code)
        except PeerProtocolError as error:
            self._end(SessionRefused(Reply(451, "4.5.0", str(error)), Phase.GARBAGE))
        except Cut as cut:
            self._end(CutWanted(cut.reply))

    def _handshake_answer(self, out: bytes, event: HandshakeEvent | None, *, listens: bool = False) -> None:
        if out:
            self._out.append(out)
        if event is None:
            return
        if isinstance(event, SessionRefused) and (not listens or event.reply is INJECTION):
            self._end(event)
            return
        self.events.append(event)
        if isinstance(event, Ready):
            self._transfers = self._make_transfers(event.extensions)
            self._state, self._handshake = State.READY, None
        elif isinstance(event, SessionRefused):
            self._state = State.REFUSED

    def _ready_reply(self, code: int) -> None:
        transfers = self._transfers
        if code == 421 or (code >= 400 and not transfers.flights):
            self._end(PeerClosing(self._reader.reply()))
            return
        if not transfers.flights:
            raise PeerProtocolError(f"a reply that answers nothing: {self._reader.reply()}")
        transfers.replied(code)
        if self._quit_wanted and not transfers.flights:
            self.quit()

    def _parting_reply(self, code: int) -> None:
        """After QUIT or a refusal. Replies to what was sent before QUIT may still come."""
        if self._state is State.QUITTING and (code == 221 or code >= 400):
            self._end(SessionEnded())

    def _end(self, event: ClientEvent) -> None:
        self._close()
        self.events.append(event)

    def _close(self) -> None:
        self._state = State.CLOSED
        self._out.clear()
