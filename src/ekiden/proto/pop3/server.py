"""The POP3 server as a machine without I/O: bytes in, events and bytes out (RFC 1939; CAPA, PIPELINING, RESP-CODES:
RFC 2449; STLS: RFC 2595; AUTH: RFC 5034; AUTH-RESP-CODE: RFC 3206; UTF8: RFC 6856).

    machine.greeting(); machine.receive(data)
    loop: machine.next_event()    None: it needs bytes, an answer, content, or room for output
          machine.output()        what is to be written; b'' if nothing

Rules
1. The same input gives the same events and output, however it is split.
2. No login without TLS, and none is announced (invariant 4).
3. Bytes behind STLS: -ERR and the end (invariant 5). Only CRLF ends a command.
4. Deletions are marks until QUIT; the session that loses its connection never hears of them (RFC 1939 §6).
5. LIST and UIDL are rendered piece by piece as `output` is asked for, so that a maildrop of any size costs one piece.
6. Limits: those of `lines`, and `Pop3Settings.error_limit`. What is too long is skipped and answered once.

Called by session/pop3. It never knows who has an account, and never sees where messages are kept.
"""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from ekiden.model.wrong_door import WrongDoor
from ekiden.ports.mailboxes import DropItem
from ekiden.proto.pop3 import events as ev
from ekiden.proto.pop3 import replies as say
from ekiden.proto.pop3.arguments import parse_base64, parse_number, parse_text
from ekiden.proto.pop3.drop import END_OF_LISTING, DropView, LineOf
from ekiden.proto.pop3.lines import LineReader, TooLong
from ekiden.proto.pop3.multiline import DotStuffer, TopCutter
from ekiden.proto.pop3.replies import Pop3Reply

#: Pipelined commands wait while this much output has not been taken: 64 KiB of CAPA must not become megabytes.
OUTPUT_FIRST: Final = 64 * 1024


class State(Enum):
    """RFC 1939 §3. UPDATE is the time between QUIT and its answer."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    UPDATE = "update"


class Pop3Settings(NamedTuple):
    """`offer_stls`: there is a certificate. `tls_active`: logins are allowed. `mechanisms`: for SASL, in upper case."""

    hostname: str
    offer_stls: bool = True
    tls_active: bool = False
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    error_limit: int = 10


class Pop3Server:
    """One connection. The rules are at the top of the module."""

    __slots__ = (
        "_auth",
        "_closed",
        "_cutter",
        "_drop",
        "_events",
        "_handshaking",
        "_lines",
        "_listing",
        "_out",
        "_owed",
        "_stuffer",
        "_user",
        "commands",
        "errors",
        "settings",
        "state",
        "utf8",
    )

    def __init__(self, settings: Pop3Settings) -> None:
        self.settings = settings
        self.state = State.AUTHORIZATION
        self.errors = 0
        self.commands = 0  # complete lines so far: what keeps a session alive
        self.utf8 = False
        self._lines = LineReader()
        self._drop = DropView()
        self._out = bytearray()
        self._events: deque[ev.Event] = deque()
        self._owed: ev.Event | None = None
        self._auth = False  # an AUTH exchange goes on: the next line is a response
        self._user: str | None = None
        self._listing: Iterator[bytes] | None = None
        self._stuffer: DotStuffer | None = None
        self._cutter: TopCutter | None = None
        self._handshaking = False
        self._closed = False

    # --- bytes and events -------------------------------------------------------------------------------------

    def greeting(self) -> None:
        self._say(say.ok(f"{self.settings.hostname} POP3 ready"))

    def receive(self, data: bytes) -> None:
        if self._closed or not data:
            return
        if self._handshaking:
            # Plain bytes behind STLS that came in a read of their own. The +OK is out: nothing more may be written.
            self._close("injection")
            return
        self._lines.feed(data)

    def next_event(self) -> ev.Event | None:
        while True:
            if self._events:
                return self._events.popleft()
            if self._closed or self._handshaking or self.awaits_answer or self._stuffer or self._listing:
                return None
            if len(self._out) > OUTPUT_FIRST:
                return None
            line = self._lines.next_line(auth=self._auth)
            if line is None:
                return None
            self.commands += 1
            if isinstance(line, TooLong):
                self._too_long()
            elif self._auth:
                self._auth_line(line)
            else:
                self._command(line)

    def output(self) -> bytes:
        """Takes what is to be written. While a listing goes on, each call gives the next piece of it."""
        if self._listing is not None:
            piece = next(self._listing)
            if piece is END_OF_LISTING:
                self._listing = None
            self._out += piece
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    @property
    def awaits_answer(self) -> bool:
        return self._owed is not None

    @property
    def wants_content(self) -> bool:
        """False as soon as TOP has all its lines: the rest need not be read."""
        return self._stuffer is not None and not (self._cutter is not None and self._cutter.done)

    @property
    def buffer_octets(self) -> int:
        return len(self._lines)

    # --- what the session says --------------------------------------------------------------------------------

    def answer(self, reply: Pop3Reply | None) -> None:
        """The answer to the owed event; None is the usual positive one (not for logins: see `enter`)."""
        owed, self._owed = self._owed, None
        assert owed is not None, "nothing is owed"
        if isinstance(owed, ev.StartTls):
            self._handshaking = reply is None
            self._say(reply or say.BEGIN_TLS)
        elif isinstance(owed, ev.Retrieve):
            self._begin_content(owed, reply)
        elif isinstance(owed, ev.Quit):
            self._say(reply or say.GOODBYE)
            self._close("quit")
        else:
            assert reply is not None, "a login succeeds by enter()"
            self._auth = False
            self._user = None
            self._say(reply)

    def challenge(self, data: bytes) -> None:
        """RFC 5034 §4: `+ ` and base64. The client's next line comes as AuthResponse."""
        assert isinstance(self._owed, ev.Auth | ev.AuthResponse), "no AUTH exchange is owed"
        self._owed = None
        self._auth = True
        self._out += b"+ " + binascii.b2a_base64(data, newline=False) + b"\r\n"

    def enter(self, items: Sequence[DropItem], total_octets: int) -> None:
        """The owed login succeeded and the maildrop is open. `total_octets`: the sum of the items' sizes."""
        assert isinstance(self._owed, ev.Login | ev.Auth | ev.AuthResponse), "no login is owed"
        self._owed = None
        self._auth = False
        self._user = None
        self.state = State.TRANSACTION
        self._drop = DropView(items, total_octets)
        self._say(say.ok(self._drop.summary))

    def content(self, data: bytes) -> None:
        """A piece of the message that `answer(None)` began; line ends are CRLF."""
        assert self._stuffer is not None, "no content is wanted"
        if self._cutter is not None:
            data = self._cutter.feed(data)
        self._out += self._stuffer.feed(data)

    def end_content(self) -> None:
        assert self._stuffer is not None, "no content is wanted"
        self._out += self._stuffer.finish()
        self._stuffer = self._cutter = None

    def tls_started(self, settings: Pop3Settings) -> None:
        """RFC 2595 §4: what the client said before the handshake is forgotten. Count of errors excepted."""
        assert self._handshaking, "STLS was not answered"
        self._handshaking = False
        self.settings = settings
        self._lines.clear()
        self._user = None
        self.utf8 = False

    def refuse(self, reply: Pop3Reply) -> None:
        """Says a last reply; no event follows. Flush it and close."""
        self._owed = None
        self._say(reply)
        self._closed = True

    # --- lines ------------------------------------------------------------------------------------------------

    def _too_long(self) -> None:
        if self._auth:
            self._cancel_auth()
        self._fail(say.LINE_TOO_LONG)

    def _command(self, line: bytes) -> None:
        if b"\n" in line or b"\r" in line or b"\0" in line:
            self._fail(say.NOT_ALLOWED_OCTETS)
            return
        verb, _, rest = line.partition(b" ")
        known = _COMMANDS.get(verb.upper())
        if known is None:
            self._foreign(verb.upper())
            return
        state, handler = known
        if state is not None and state is not self.state:
            self._fail(say.WRONG_STATE_LOGIN if state is State.TRANSACTION else say.WRONG_STATE_DONE)
            return
        handler(self, rest)

    def _foreign(self, verb: bytes) -> None:
        """No command of POP3; perhaps one of another protocol."""
        if verb in _OF_SMTP:
            self._events.append(ev.Mistaken(WrongDoor.SMTP))
            self._fail(say.SENT_ELSEWHERE)
        elif verb in _OF_HTTP:  # what follows as its header and body could be commands
            self._events.append(ev.Mistaken(WrongDoor.HTTP))
            self._say(say.NO_WEB_SERVER)
            self._close("http")
        else:
            self._fail(say.UNKNOWN_COMMAND)

    def _auth_line(self, line: bytes) -> None:
        self._auth = False
        if line == b"*":
            self._events.append(ev.AuthCancelled())
            self._say(say.CANCELLED)  # RFC 5034 §4: the reply to a cancelled exchange is -ERR
            return
        data = parse_base64(line)
        if data is None:
            self._cancel_auth()
            self._fail(say.NOT_BASE64)
            return
        self._owe(ev.AuthResponse(data))

    def _cancel_auth(self) -> None:
        self._auth = False
        self._events.append(ev.AuthCancelled())

    # --- AUTHORIZATION ----------------------------------------------------------------------------------------

    def _on_user(self, rest: bytes) -> None:
        if not self._login_allowed():
            return
        name = parse_text(rest.strip(b" "))  # RFC 6856 §2.2: UTF-8, announced as `UTF8 USER`
        if not name:
            self._fail(say.NEED_NAME)
            return
        self._user = name
        self._say(say.NAME_NOTED)  # the same for names that nobody has

    def _on_pass(self, rest: bytes) -> None:
        if not self._login_allowed():
            return
        if self._user is None:
            self._fail(say.USER_FIRST)
            return
        password = parse_text(rest)  # RFC 1939 §7: blanks belong to the password
        if not password:
            self._fail(say.NEED_PASSWORD)
            return
        self._owe(ev.Login(self._user, password))

    def _on_auth(self, rest: bytes) -> None:
        if not self._login_allowed():
            return
        name, _, initial = rest.strip(b" ").partition(b" ")
        if not name:
            self._fail(say.NEED_MECHANISM)
            return
        mechanism = name.upper().decode("ascii", "replace")
        if mechanism not in self.settings.mechanisms:
            self._fail(say.no_such_mechanism(self.settings.mechanisms))
            return
        data = b"" if initial == b"=" else parse_base64(initial) if initial else None
        if initial and data is None:
            self._fail(say.NOT_BASE64)
            return
        self._owe(ev.Auth(mechanism, data))

    def _on_stls(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
        elif self.settings.tls_active:
            self._events.append(ev.Mistaken(WrongDoor.STARTTLS))
            self._fail(say.TLS_ALREADY)
        elif not self.settings.offer_stls:
            self._fail(say.NO_TLS_HERE)
        elif len(self._lines):
            self._say(say.INJECTION)  # invariant 5
            self._close("injection")
        else:
            self._owe(ev.StartTls())

    def _on_utf8(self, rest: bytes) -> None:
        # deviates RFC 6856 §3.2: a message with a UTF-8 header section is given as it is, also to a client that never
        # said UTF8. Such mail comes without SMTPUTF8 too, and what cannot be fetched blocks a maildrop for ever.
        # tests/unit/session/test_pop3.py::test_utf8_header_is_given_to_everybody
        if rest:
            self._fail(say.NO_ARGUMENTS)
            return
        self.utf8 = True
        self._say(say.UTF8_ON)

    def _login_allowed(self) -> bool:
        if self.settings.tls_active:
            return True
        self._fail(say.LOGIN_NEEDS_STLS if self.settings.offer_stls else say.LOGIN_NEEDS_995)
        return False

    # --- any state --------------------------------------------------------------------------------------------

    def _on_capa(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
            return
        settings = self.settings
        names = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER"]
        if settings.tls_active:
            names.append("USER")
            if settings.mechanisms:
                names.append("SASL " + " ".join(settings.mechanisms))
        elif settings.offer_stls:
            names.append("STLS")
        names.append("IMPLEMENTATION Ekiden")
        self._say(say.CAPABILITIES)
        self._out += "".join(f"{name}\r\n" for name in names).encode("ascii") + b".\r\n"

    def _on_quit(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
            return
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
        self._owe(ev.Quit(self._drop.marked))

    # --- TRANSACTION ------------------------------------------------------------------------------------------

    def _on_stat(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
        else:
            self._say(say.ok(f"{self._drop.count} {self._drop.octets}"))

    def _on_list(self, rest: bytes) -> None:
        self._list(rest, lambda number, item: f"{number} {item.size_octets}")

    def _on_uidl(self, rest: bytes) -> None:
        self._list(rest, lambda number, item: f"{number} {item.unique_id}")

    def _on_retr(self, rest: bytes) -> None:
        index = self._index(rest.strip(b" "))
        if index is not None:
            self._owe(ev.Retrieve(index))

    def _on_top(self, rest: bytes) -> None:
        number, _, lines = rest.strip(b" ").partition(b" ")
        wanted = parse_number(lines.strip(b" "))
        if wanted is None:
            self._fail(say.NEED_TWO_NUMBERS)
            return
        index = self._index(number)
        if index is not None:
            self._owe(ev.Retrieve(index, wanted))

    def _on_dele(self, rest: bytes) -> None:
        index = self._index(rest.strip(b" "))
        if index is not None:
            self._drop.mark(index)
            self._say(say.ok(f"Message {index + 1} will be deleted at QUIT"))

    def _on_noop(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
        else:
            self._say(say.NOTHING_DONE)

    def _on_rset(self, rest: bytes) -> None:
        if rest:
            self._fail(say.NO_ARGUMENTS)
            return
        self._drop.unmark_all()
        self._say(say.ok(self._drop.summary))

    # --- within -----------------------------------------------------------------------------------------------

    def _index(self, number: bytes) -> int | None:
        """The index of an existing message that is not marked deleted; else it is answered, and None."""
        value = parse_number(number)
        if value is None:
            self._fail(say.NEED_NUMBER)
            return None
        if not self._drop.has(value - 1):
            self._say(say.NO_SUCH_MESSAGE)  # no syntax error: another program may have been at work
            return None
        return value - 1

    def _list(self, rest: bytes, line: LineOf) -> None:
        number = rest.strip(b" ")
        if not number:
            self._say(say.ok(self._drop.summary))
            self._listing = self._drop.listing(line)
            return
        index = self._index(number)
        if index is not None:
            self._say(say.ok(line(index + 1, self._drop.items[index])))

    def _begin_content(self, owed: ev.Retrieve, reply: Pop3Reply | None) -> None:
        if reply is not None:
            self._say(reply)
            return
        size = self._drop.items[owed.item].size_octets
        self._say(say.ok(f"{size} octets" if owed.lines is None else "The top follows"))
        self._stuffer = DotStuffer()
        self._cutter = None if owed.lines is None else TopCutter(owed.lines)

    def _owe(self, event: ev.Event) -> None:
        self._owed = event
        self._events.append(event)

    def _say(self, reply: Pop3Reply) -> None:
        self._out += reply.wire

    def _fail(self, reply: Pop3Reply) -> None:
        """Counts a syntax or sequence error and answers it. The last that is allowed closes."""
        self.errors += 1
        if self.errors < self.settings.error_limit:
            self._say(reply)
            return
        self._say(say.TOO_MANY_ERRORS)
        self._close("errors")

    def _close(self, reason: str) -> None:
        self._closed = True
        self._lines.clear()
        self._events.append(ev.Disconnect(reason))


#: RFC 5321 §4.1: what an SMTP client may say first.
_OF_SMTP: Final = frozenset((b"EHLO", b"HELO", b"MAIL", b"STARTTLS"))
#: RFC 9110 §9.3, RFC 5789.
_OF_HTTP: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"CONNECT"))
_Handler = Callable[[Pop3Server, bytes], None]
_AUTHORIZATION: Final = State.AUTHORIZATION
_TRANSACTION: Final = State.TRANSACTION
#: Verb -> the state it belongs to (None: any) and its handler. APOP is not offered: it needs the password in the clear.
_COMMANDS: Final[dict[bytes, tuple[State | None, _Handler]]] = {
    b"USER": (_AUTHORIZATION, Pop3Server._on_user),
    b"PASS": (_AUTHORIZATION, Pop3Server._on_pass),
    b"AUTH": (_AUTHORIZATION, Pop3Server._on_auth),
    b"STLS": (_AUTHORIZATION, Pop3Server._on_stls),
    b"UTF8": (_AUTHORIZATION, Pop3Server._on_utf8),
    b"CAPA": (None, Pop3Server._on_capa),
    b"QUIT": (None, Pop3Server._on_quit),
    b"STAT": (_TRANSACTION, Pop3Server._on_stat),
    b"LIST": (_TRANSACTION, Pop3Server._on_list),
    b"UIDL": (_TRANSACTION, Pop3Server._on_uidl),
    b"RETR": (_TRANSACTION, Pop3Server._on_retr),
    b"TOP": (_TRANSACTION, Pop3Server._on_top),
    b"DELE": (_TRANSACTION, Pop3Server._on_dele),
    b"NOOP": (_TRANSACTION, Pop3Server._on_noop),
    b"RSET": (_TRANSACTION, Pop3Server._on_rset),
}
