"""A tiny session for tests of the SMTP server machine: it decides by the names in the paths, and remembers all.

Forward-paths whose local part begins with `unknown` get 550, with `later` 450; reverse-paths with `refused` 550. The
login is alice with the password wonderland, by PLAIN and LOGIN. Content with `poison` in it is refused after its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ekiden.model.reply import Reply
from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp.server import ServerSettings, SmtpServer

STRANGER = ServerSettings(hostname="mx.example.test", size_limit=1000, max_recipients=3, offer_starttls=True)
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
LATER = Reply(450, "4.2.1", "Please try again later")
NOT_WELCOME = Reply(550, "5.7.1", "Not welcome")
POISONED = Reply(554, "5.6.0", "Not that content")
LOGGED_IN = Reply(235, "2.7.0", "Authentication succeeded")
WRONG = Reply(535, "5.7.8", "Authentication credentials invalid")


@dataclass
class Letter:
    mail: ev.MailFrom
    recipients: list[ev.RcptTo] = field(default_factory=list)
    content: bytes = b""
    had_bare_lf: bool = False


class ScriptedSession:
    """Feeds a machine, answers what is owed at once, and keeps events, letters and output."""

    def __init__(self, settings: ServerSettings = STRANGER, *, greet: bool = False) -> None:
        self.machine = SmtpServer(settings)
        self.events: list[ev.Event] = []
        self.letters: list[Letter] = []
        self.aborted: list[Reply] = []
        self.closed = ""
        self.most_buffered = 0
        self._draft: Letter | None = None
        self._chunks: list[bytes] = []
        self._user = b""
        if greet:
            self.machine.greeting()

    def send(self, octets: bytes) -> bytes:
        """What comes back."""
        self.machine.receive(octets)
        while (event := self.machine.next_event()) is not None:
            self.events.append(event)
            self._handle(event)
        self.most_buffered = max(self.most_buffered, self.machine.buffer_octets)
        return self.machine.output()

    def line(self, text: str) -> str:
        """One command; the reply without its last CRLF."""
        return self.send(text.encode() + b"\r\n").decode().removesuffix("\r\n")

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def _handle(self, event: ev.Event) -> None:
        match event:
            case ev.Hello():
                self._forget()
                self.machine.answer(None)
            case ev.MailFrom():
                self._mail(event)
            case ev.RcptTo():
                self._rcpt(event)
            case ev.ContentBegins():
                self._chunks = []
                self.machine.answer(None)
            case ev.ContentChunk():
                assert event.data, "an empty piece is no event"
                self._chunks.append(event.data)
            case ev.ContentEnds():
                self._end(event)
            case ev.ContentAborted():
                self.aborted.append(event.reply)
                self._forget()
            case ev.Reset():
                self._forget()
            case ev.StartTls():
                self.machine.answer(None)
            case ev.Auth() | ev.AuthResponse():
                self._auth(event)
            case ev.Quit():
                self.closed = "quit"
            case ev.Disconnect():
                self.closed = event.reason
            case ev.AuthCancelled() | ev.CommandRefused():
                pass
        assert not self.machine.awaits_answer

    def _forget(self) -> None:
        self._draft = None
        self._chunks = []

    def _mail(self, event: ev.MailFrom) -> None:
        if event.reverse_path is not None and event.reverse_path.local_part.startswith("refused"):
            self.machine.answer(NOT_WELCOME)
            return
        self._draft = Letter(event)
        self.machine.answer(None)

    def _rcpt(self, event: ev.RcptTo) -> None:
        assert self._draft is not None
        if event.forward_path.local_part.startswith("unknown"):
            self.machine.answer(NO_SUCH_USER)
        elif event.forward_path.local_part.startswith("later"):
            self.machine.answer(LATER)
        else:
            self._draft.recipients.append(event)
            self.machine.answer(None)

    def _end(self, event: ev.ContentEnds) -> None:
        assert self._draft is not None
        self._draft.content = b"".join(self._chunks)
        self._draft.had_bare_lf = event.had_bare_lf
        assert event.octets == len(self._draft.content)
        if b"poison" in self._draft.content:
            self.machine.answer(POISONED)
        else:
            self.letters.append(self._draft)
            self.machine.answer(Reply(250, "2.0.0", f"Queued as letter {len(self.letters)}"))
        self._forget()

    def _auth(self, event: ev.Auth | ev.AuthResponse) -> None:
        if isinstance(event, ev.Auth):
            self._plain, self._user = event.mechanism == "PLAIN", b""
            data = event.initial
        else:
            data = event.data
        if data is None:
            self.machine.challenge(b"" if self._plain else b"Username:")
        elif self._plain:
            self.machine.answer(LOGGED_IN if data == b"\0alice\0wonderland" else WRONG)
        elif not self._user:
            self._user = data
            self.machine.challenge(b"Password:")
        else:
            self.machine.answer(LOGGED_IN if (self._user, data) == (b"alice", b"wonderland") else WRONG)


def begin(settings: ServerSettings = STRANGER, *, mail: bool = False, rcpt: bool = False) -> ScriptedSession:
    """A session behind EHLO, and MAIL and RCPT if wanted; its events begin anew."""
    session = ScriptedSession(settings)
    session.line("EHLO client.example.org")
    if mail or rcpt:
        session.line("MAIL FROM:<a@example.org>")
    if rcpt:
        session.line("RCPT TO:<b@example.test>")
    session.events.clear()
    return session
