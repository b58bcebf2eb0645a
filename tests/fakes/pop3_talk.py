"""Pop3Talk: a tiny session for tests of the POP3 machine. It answers what is owed at once and remembers all.

The login is alice with the password wonderland, by USER/PASS, PLAIN and LOGIN. Message contents that begin with `GONE`
cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from ekiden.ports.mailboxes import DropItem
from ekiden.proto.pop3 import events as ev
from ekiden.proto.pop3 import replies as say
from ekiden.proto.pop3.server import Pop3Server, Pop3Settings

SECURE = Pop3Settings("mail.example.test", tls_active=True, offer_stls=False)
CLEAR = Pop3Settings("mail.example.test")
MESSAGES = (
    b"Subject: one\r\n\r\n.dot\r\n..two\r\nthree\r\n",
    b"Subject: two\r\nX: y\r\n\r\nno end",
    b"GONE",
)


def items_of(messages: Sequence[bytes]) -> list[DropItem]:
    return [
        DropItem(f"uid-{number}", len(octets) + (0 if octets.endswith(b"\r\n") else 2))
        for number, octets in enumerate(messages, 1)
    ]


class Pop3Talk:
    """`piece`: how the session cuts content. `deleted`: what QUIT asked for, None before it."""

    def __init__(
        self, settings: Pop3Settings = SECURE, messages: Sequence[bytes] = MESSAGES, *, piece: int = 1 << 16
    ) -> None:
        self.machine = Pop3Server(settings)
        self.messages = messages
        self.events: list[ev.Event] = []
        self.deleted: tuple[int, ...] | None = None
        self.closed = ""
        self.written = 0
        self._piece = piece
        self._user = b""
        self._plain = True

    def send(self, octets: bytes) -> bytes:
        """What comes back."""
        self.machine.receive(octets)
        out = b""
        while True:
            event = self.machine.next_event()
            if event is not None:
                self.events.append(event)
                self._handle(event)
                continue
            piece = self.machine.output()
            if not piece:
                return out
            out += piece

    def line(self, text: str) -> str:
        """One command; the response without its last CRLF."""
        return self.send(text.encode() + b"\r\n").decode().removesuffix("\r\n")

    def log_in(self) -> None:
        assert self.line("USER alice").startswith("+OK")
        assert self.line("PASS wonderland").startswith("+OK")
        self.events.clear()

    def _handle(self, event: ev.Event) -> None:
        match event:
            case ev.Login():
                self._log_in((event.name, event.password) == ("alice", "wonderland"))
            case ev.Auth() | ev.AuthResponse():
                self._auth(event)
            case ev.StartTls():
                self.machine.answer(None)
            case ev.Retrieve():
                self._retrieve(event)
            case ev.Quit():
                self.deleted = event.deletions
                self.machine.answer(None)
            case ev.Disconnect():
                self.closed = event.reason
            case ev.AuthCancelled():
                self._user = b""

    def _log_in(self, right: bool) -> None:
        if right:
            items = items_of(self.messages)
            self.machine.enter(items, sum(item.size_octets for item in items))
        else:
            self.machine.answer(say.WRONG_LOGIN)

    def _auth(self, event: ev.Auth | ev.AuthResponse) -> None:
        if isinstance(event, ev.Auth):
            self._plain, self._user = event.mechanism == "PLAIN", b""
            data = event.initial
        else:
            data = event.data
        if data is None:
            self.machine.challenge(b"" if self._plain else b"Username:")
        elif self._plain:
            self._log_in(data == b"\0alice\0wonderland")
        elif not self._user:
            self._user = data or b"?"
            self.machine.challenge(b"Password:")
        else:
            self._log_in((self._user, data) == (b"alice", b"wonderland"))

    def _retrieve(self, event: ev.Retrieve) -> None:
        octets = self.messages[event.item]
        if octets.startswith(b"GONE"):
            self.machine.answer(say.MESSAGE_GONE)
            return
        self.machine.answer(None)
        for start in range(0, len(octets), self._piece):
            if not self.machine.wants_content:
                break
            self.machine.content(octets[start : start + self._piece])
        self.machine.end_content()
