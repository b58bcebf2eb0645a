"""The state of an SMTP server machine, and the few moves that all of its parts make.

Rules
1. Octets wait in `buffer` from `at` on. `reader` takes them: None stands for command lines.
2. `owed` settles the answer of the event that was given last; while it is set, nothing is read (RFC 2920 §3.2).
3. Readers and settlers are plain functions kept by reference, never bound methods: no cycle keeps a dead session
   alive.
4. After `closed` nothing is read and nothing is written; what is `pending` is still told.
5. A content that began is told to its end: ContentEnds, or ContentAborted, or Disconnect.

Used by `commands`, `content`, `auth` and `server` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from ekiden.model.reply import Reply
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.events import CommandRefused, ContentAborted, Disconnect, Event
from ekiden.proto.smtp.lines import CRLF, ORDINARY, LineState, judge_line
from ekiden.proto.smtp.settings import ServerSettings


class Need(Enum):
    """What a reader gives when it can do no more without more octets."""

    DATA = 0


NEED_DATA: Final = Need.DATA

#: Gives an event, NEED_DATA, or None: something was done that is no event, go on.
Reader = Callable[["Machine"], "Event | Need | None"]
#: What `answer` does for the event that is owed one.
Settler = Callable[["Machine", "Reply | None"], None]

_E = TypeVar("_E", bound=Event)


class Machine:
    """See the rules above. `recipients`: accepted ones. `octets`: of content so far. `commands`: since the last
    letter. `surplus`: recipients beyond the limit. `chunking`: BDAT content is under way. `remaining`, `last`: of the
    BDAT chunk that is being read. `carry`: a CR at the end of a chunk. `verdict`: the reply that follows when refused
    content has been swallowed. `aborted`: MAIL or a chunk was refused; what the client pipelined behind it fails
    too, and is no error of its own. `again`: see `forget_content`."""

    __slots__ = (
        "aborted",
        "again",
        "at",
        "authenticated",
        "buffer",
        "carry",
        "chunking",
        "closed",
        "commands",
        "errors",
        "greeted",
        "had_bare_lf",
        "handshaking",
        "in_content",
        "last",
        "octets",
        "out",
        "owed",
        "pending",
        "reader",
        "recipients",
        "remaining",
        "settings",
        "smtputf8",
        "surplus",
        "transaction",
        "verdict",
    )

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.buffer = b""
        self.at = 0
        self.out: list[bytes] = []
        self.pending: list[Event] = []
        self.owed: Settler | None = None
        self.reader: Reader | None = None
        self.closed = False
        self.handshaking = False
        self.errors = 0
        self.commands = 0
        self.greeted = False
        self.authenticated = False
        self.verdict = replies.NOOP
        self.again: tuple[Callable[[Machine, bytes], Event | None], bytes] | None = None
        self.reset_transaction()

    def reset_transaction(self) -> None:
        self.transaction = False
        self.aborted = False
        self.smtputf8 = False
        self.recipients = 0
        self.surplus = 0
        self.in_content = False
        self.chunking = False
        self.octets = 0
        self.had_bare_lf = False
        self.remaining = 0
        self.last = False
        self.carry = b""

    def say(self, reply: Reply) -> None:
        self.out.append(reply.wire)

    def owe(self, event: _E, settler: Settler) -> _E:
        self.owed = settler
        return event

    def reject(self, reply: Reply) -> Event:
        """Answers a syntax or sequence error, and counts it: the last one of `error_limit` ends the session."""
        self.errors += 1
        if 0 < self.settings.error_limit <= self.errors:
            reply = replies.TOO_MANY_ERRORS
            self.hang_up("errors")
        self.say(reply)
        return CommandRefused(reply)

    def hang_up(self, reason: str) -> None:
        """Nothing more is read; Disconnect is told after what is pending."""
        self.pending.append(Disconnect(reason))
        self.close()

    def close(self) -> None:
        self.closed = True
        self.owed = None
        self.reader = None
        self.buffer = b""
        self.at = 0

    def forget_content(self, reply: Reply, command: Callable[[Machine, bytes], Event | None], argument: bytes) -> Event:
        """A command drops the transaction while its chunks are under way: that is told first (an event that is owed an
        answer must be given alone), then the command is done again."""
        self.reset_transaction()
        self.again = (command, argument)
        self.reader = _do_again
        return ContentAborted(reply)

    def refuse_sequel(self, reply: Reply) -> Event | None:
        """Answers a command out of sequence: an error, unless it was pipelined behind what was refused (RFC 2920)."""
        if not self.aborted:
            return self.reject(reply)
        self.say(reply)
        return None

    def bare_octet(self) -> None:
        """DESIGN §8, invariant 5: such a sender and we may see different lines, so we part."""
        self.say(replies.BARE_OCTET)
        if self.in_content:
            self.pending.append(ContentAborted(replies.BARE_OCTET))
        self.hang_up("bare-lf")

    def sent_too_early(self) -> None:
        """RFC 2920 §3.1: octets came before the reply that they depend on."""
        self.say(replies.SENT_TOO_EARLY)
        if self.in_content:
            self.pending.append(ContentAborted(replies.SENT_TOO_EARLY))
        self.hang_up("pipelining")

    def no_line(self, limit: int, too_long: Reply) -> Event | Need | None:
        """There is no whole line of at most `limit` octets: wait for the rest, or answer what is wrong with it."""
        state = judge_line(self.buffer, self.at, limit)
        if state is LineState.PARTIAL:
            return NEED_DATA
        if state is LineState.BARE:
            self.bare_octet()
            return None
        self.at += limit - 1
        self.reader = skip_line
        return self.reject(too_long)


def skip_line(machine: Machine) -> Need | None:
    """Forgets the rest of a line that was too long, as it comes."""
    buffer, at = machine.buffer, machine.at
    end = buffer.find(CRLF, at)
    stop = end if end >= 0 else len(buffer) - buffer.endswith(b"\r", at)
    if buffer[at:stop].translate(None, ORDINARY):
        machine.bare_octet()
        return None
    machine.at = stop
    if end < 0:
        return NEED_DATA
    machine.at = end + len(CRLF)
    machine.reader = None
    return None


def _do_again(machine: Machine) -> Event | None:
    machine.reader = None
    assert machine.again is not None
    command, argument = machine.again
    machine.again = None
    return command(machine, argument)
