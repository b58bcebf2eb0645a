"""SmtpConnection: one outbound SMTP or LMTP session over a wire, driven by callbacks.

Rules
1. No task, timer or lock a letter. Content in memory is written by the machine; only large content has a task of its
   own, which reads it and waits while the peer is slow (`writable`).
2. What one `received` causes is written in one go, the owner's next letter included (DESIGN §4, rules 3 and 8).
3. Deadlines: `tick` looks what the session waits for (`proto.smtp.timeouts`); any progress starts the wait anew. A
   session that waits for nothing has none: how long an idle one is kept is its owner's choice.
4. However it ends, `on_closed` comes once and names each transaction that has no answer: unknown, so delayed.
5. A large content that cannot be read to its end is never ended on the wire: the wire is aborted.

The protocol is in `proto.smtp.client`. Called by the wire and by the owner of the connections in `delivery`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from ekiden.model.reply import Reply
from ekiden.ports.spool import Content, SpoolFailed
from ekiden.ports.wire import Endpoint, TlsFacts, Wire
from ekiden.proto.smtp.client import SmtpClient
from ekiden.proto.smtp.client_events import (
    ClientEvent,
    ClientSettings,
    ContentWanted,
    CutWanted,
    PeerClosing,
    Phase,
    Ready,
    SessionEnded,
    SessionRefused,
    StartTlsWanted,
    Transaction,
    TransactionEnded,
)
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.timeouts import SECONDS, Wait

#: How a task for a large letter is started: `TaskGroup.create_task` or the like, by who will await it.
Spawn = Callable[[Coroutine[object, object, None]], object]

NOWHERE: Final = Endpoint("", 0)
CLOSED: Final = Reply(221, "2.0.0", "closed after QUIT")
LOST: Final = Reply(451, "4.4.2", "the server closed the connection")
ABORTED: Final = Reply(451, "4.3.2", "we cut the connection")


class ConnectionOwner(Protocol):
    """Who holds connections (the pool of a site). Callbacks are synchronous, must not raise, and may call `send`,
    `quit` and `abort` of the connection: what they cause is written in one go when the callback has returned."""

    def on_ready(self, connection: SmtpConnection) -> None:
        """Greeting, EHLO, STARTTLS and AUTH are done: `send` is allowed. At most once a connection."""

    def on_free(self, connection: SmtpConnection) -> None:
        """`send` is allowed again after a `send`. It comes before the transaction has ended if the server pipelines:
        the next letter's envelope rides behind the final dot. If nothing is sent now, `can_send` stays True."""

    def on_transaction_ended(self, connection: SmtpConnection, ended: TransactionEnded) -> None:
        """One reply a recipient. Comes once for every transaction that `on_closed` does not name."""

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        """The server takes no mail on this session (see Phase). The connection closes itself; `on_closed` follows."""

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        """Last callback, exactly once after `connected`. `unknown`: transactions that had not ended; their `replies`
        hold what is known (None: unknown, to be tried again), `content_complete` whether the server may have taken
        them. `reason`: the server's 421, or ours (4.4.2 lost or timed out, ...); 221 after QUIT."""


class SmtpConnection:
    """A WireUser: give it to `Connector.connect`. Not used again after `on_closed`.

    `tag`: the owner's own. `host`, `extensions`: what the server said at last to EHLO. `ready`: on_ready was called.
    `tls_failed`: lost in the handshake after STARTTLS (an owner whose TLS is only opportunistic may try again in the
    clear). `letters`: transactions that ended.
    """

    __slots__ = (
        "_busy",
        "_closing",
        "_contents",
        "_deadline",
        "_in_tls_handshake",
        "_is_lost",
        "_machine",
        "_owner",
        "_pumping",
        "_reason",
        "_room",
        "_seen",
        "_spawn",
        "_streaming",
        "_unwanted",
        "_wait",
        "_wire",
        "_writable",
        "extensions",
        "host",
        "letters",
        "ready",
        "settings",
        "tag",
        "tls_failed",
    )

    def __init__(self, settings: ClientSettings, owner: ConnectionOwner, spawn: Spawn, *, tag: object = None) -> None:
        self.settings = settings
        self.tag = tag
        self.host = ""
        self.extensions: dict[str, str] = {}
        self.ready = False
        self.tls_failed = False
        self.letters = 0
        self._owner = owner
        self._spawn = spawn
        self._machine = SmtpClient(settings)
        self._wire: Wire | None = None
        self._reason: Reply | None = None
        #: `quit` or `abort` came before `connected`.
        self._unwanted = False
        self._pumping = False
        #: A `send` has not been followed by `on_free` yet.
        self._busy = False
        self._closing = False
        self._is_lost = False
        self._in_tls_handshake = False
        # Large content: what it comes from, whose is being written, and the peer's readiness.
        self._contents: dict[Transaction, Content] = {}
        self._streaming: Transaction | None = None
        self._writable = True
        self._room: asyncio.Event | None = None
        # Deadline: for which wait, at which progress it was set.
        self._wait: Wait | None = None
        self._seen = 0
        self._deadline = 0.0

    # -- for the owner -----------------------------------------------------------------------------------------------

    @property
    def can_send(self) -> bool:
        return self._machine.can_send

    @property
    def in_flight(self) -> int:
        """Transactions begun and not ended: 0, 1 or 2. Idle is `can_send and not in_flight`."""
        return self._machine.in_flight

    @property
    def is_closed(self) -> bool:
        """Nothing more can be sent: it is closing, or gone."""
        return self._closing or self._is_lost or self._unwanted

    @property
    def peer(self) -> Endpoint:
        return self._wire.peer if self._wire is not None else NOWHERE

    @property
    def local(self) -> Endpoint:
        return self._wire.local if self._wire is not None else NOWHERE

    @property
    def tls(self) -> TlsFacts | None:
        return self._wire.tls if self._wire is not None else None

    def send(self, transaction: Transaction, content: Content | None = None) -> None:
        """Only while `can_send`. Sets `transaction.size` and `octets` from the content; None: octets are set already,
        or it is a probe. Large content is read by one task."""
        if content is not None:
            transaction.size = content.size_octets
            transaction.octets = content.octets
            if transaction.octets is None:
                self._contents[transaction] = content
        elif transaction.octets is None and not transaction.probe:
            raise LocalProtocolError("a transaction without content")
        self._busy = True
        self._machine.send(transaction)
        self._pump()

    def quit(self) -> None:
        """QUIT when what is under way has ended; then `on_closed`. Idempotent."""
        if self._wire is None:
            self._unwanted = True
            return
        self._machine.quit()
        self._pump()

    def abort(self, reason: Reply = ABORTED) -> None:
        """Cuts the wire at once; `on_closed` follows with what is unknown."""
        self._reason = self._reason or reason
        self._unwanted = self._wire is None
        self._closing = True
        if self._wire is not None:
            self._wire.abort()

    # -- ports.wire.WireUser -----------------------------------------------------------------------------------------

    def connected(self, wire: Wire) -> None:
        self._wire = wire
        if self._unwanted:
            self.abort()
            return
        tls = wire.tls
        self._machine.connected(tls_active=tls is not None, verified=tls is not None and tls.verified)

    def received(self, data: bytes) -> None:
        self._machine.receive(data)
        self._pump()

    def tls_started(self) -> None:
        self._in_tls_handshake = False
        tls = self.tls
        self._machine.tls_started(verified=tls is not None and tls.verified)
        self._pump()

    def writable(self, ok: bool) -> None:  # noqa: FBT001 - a callback with one fact
        self._writable = ok
        if self._room is not None:
            if ok:
                self._room.set()
            else:
                self._room.clear()

    def ended(self) -> bool:
        """A server that hangs up its side has nothing more to answer: what is unfinished is unknown."""
        return False

    def lost(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self.tls_failed |= self._in_tls_handshake and self._reason is None
        unknown = self._machine.lost()
        self._contents.clear()
        self._streaming = None
        if self._room is not None:
            self._room.set()
        self._owner.on_closed(self, unknown, self._reason or self._loss(error))

    def tick(self, now: float) -> None:
        machine = self._machine
        wait = Wait.QUIT if self._closing else machine.deadline_kind
        if wait is None:
            self._wait = None
        elif wait is not self._wait or machine.progress != self._seen:
            self._wait, self._seen = wait, machine.progress
            self._deadline = now + SECONDS[wait]
        elif now >= self._deadline:
            self._time_out(wait)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _loss(self, error: Exception | None) -> Reply:
        if self._in_tls_handshake:
            return Reply(451, "4.7.5", f"the TLS handshake failed: {error or 'the server closed the connection'}")
        return LOST if error is None else Reply(451, "4.4.2", f"the connection was lost: {error}")

    def _time_out(self, wait: Wait) -> None:
        if wait is Wait.QUIT:  # All letters are decided.
            self.abort(CLOSED)
            return
        self.tls_failed |= wait is Wait.HANDSHAKE
        self.abort(Reply(451, "4.4.2", f"timed out: waited {SECONDS[wait]:.0f} s for {wait.value}"))

    def _pump(self) -> None:
        """Tells all events, offers the room there is, writes once. Called within itself (an owner's callback sends) it
        leaves the rest to the outer call."""
        if self._pumping:
            return
        self._pumping = True
        machine = self._machine
        events = machine.events
        told = False
        try:
            while True:
                while events:
                    told = True
                    self._tell(events.popleft())
                if not (self._busy and machine.can_send):
                    break
                self._busy = False
                self._owner.on_free(self)
            if told and machine.is_exhausted and not machine.in_flight:
                machine.quit()
        finally:
            self._pumping = False
        self._flush()

    def _flush(self) -> None:
        data = self._machine.output()
        if data and self._wire is not None:
            self._wire.write(data)

    def _tell(self, event: ClientEvent) -> None:
        if type(event) is TransactionEnded:
            self._transaction_ended(event)
            return
        match event:
            case Ready():
                self.host, self.extensions = event.host, event.extensions
                self.ready = True
                self._owner.on_ready(self)
            case ContentWanted():
                self._stream_content(event.transaction)
            case StartTlsWanted():
                self._start_tls()
            case SessionRefused():
                self._owner.on_refused(self, event.reply, event.phase)
                self._part(event.reply)
            case PeerClosing():
                self._part(event.reply)
            case SessionEnded():
                self._part(CLOSED)
            case CutWanted():
                self.abort(event.reply)

    def _transaction_ended(self, ended: TransactionEnded) -> None:
        self.letters += 1
        if self._contents:
            self._contents.pop(ended.transaction, None)
        if ended.transaction is self._streaming:
            self._streaming = None
        self._owner.on_transaction_ended(self, ended)

    def _start_tls(self) -> None:
        self._flush()
        self._in_tls_handshake = True
        if self._wire is not None:
            self._wire.start_tls()

    def _part(self, reason: Reply) -> None:
        """QUIT if the server still listens, else close. The first reason stays."""
        self._reason = self._reason or reason
        self._machine.quit()
        if self._machine.is_closed and not self._closing:
            self._closing = True
            if self._wire is not None:
                self._wire.close()

    # -- large content -----------------------------------------------------------------------------------------------

    def _stream_content(self, transaction: Transaction) -> None:
        content = self._contents.pop(transaction)
        self._streaming = transaction
        self._room = asyncio.Event()
        if self._writable:
            self._room.set()
        self._spawn(self._stream(transaction, content, self._room))

    async def _stream(self, transaction: Transaction, content: Content, room: asyncio.Event) -> None:
        """Reads and writes one content, never faster than the peer takes it. Ends early if the session did."""
        chunks = content.chunks()
        try:
            await room.wait()
            async for chunk in chunks:
                if self._streaming is transaction:
                    self._machine.content(chunk)
                    self._pump()
                    await room.wait()
                if self._streaming is not transaction:
                    return
            if self._streaming is transaction:
                self._streaming = None
                self._machine.end_content()
                self._pump()
        except SpoolFailed as failure:
            self.abort(Reply(451, "4.3.0", f"the content could not be read: {failure}"))
        except BaseException:
            self.abort()
            raise
        finally:
            # An async generator that is left early is closed now, not when the collector finds it.
            aclose = getattr(chunks, "aclose", None)
            if aclose is not None:
                await aclose()
