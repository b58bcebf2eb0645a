r"""Content: DATA and BDAT (RFC 5321 §4.1.1.4, §4.5.2, RFC 3030 §2). Streams; holds four octets at most.

Rules
1. Only CRLF.CRLF ends DATA, and only a dot behind CRLF is a stuffed one. Both are decided on the octets as they came;
   bare LFs are made CRLF after that (logins, trusted networks), so that LF.LF and LF.CRLF end nothing.
2. The content of DATA begins as if a CRLF stood before it: `\r\n` is put into the buffer and taken out of the first
   piece (`octets` starts at -2). So an empty content and a first line with a dot need no rule of their own.
3. Bare CR and NUL are refused from everybody, bare LF from strangers. In DATA the session ends at once: who sends
   these may see another end of the data than we do. In BDAT the announced octets are swallowed first, and the session
   goes on: counted octets cannot be taken for commands.
4. What is too large is told at once (ContentAborted), swallowed to its end, and then answered.
5. A piece ends before any octets that may be the beginning of CRLF.CRLF, so CRLF and CRLF. are never cut in two.

`find`, `count`, `replace` and `translate` alone look at content (DESIGN §4 rule 4). No limit is set to a text line's
length: # deviates RFC 5321 §4.5.3.1.6: long lines are passed on unchanged: test_one_endless_line
"""

from __future__ import annotations

from typing import Final

from ekiden.model.reply import Reply
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.events import ContentAborted, ContentBegins, ContentChunk, ContentEnds, Event
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.grammar import parse_number
from ekiden.proto.smtp.lines import CRLF, ORDINARY
from ekiden.proto.smtp.machine import NEED_DATA, Machine, Need

_END: Final = b"\r\n.\r\n"
_DOT_LINE: Final = b"\r\n."


def data(machine: Machine, argument: bytes) -> Event | None:
    """DATA."""
    refusal = _out_of_sequence(machine)
    if refusal is not None:
        return _refuse_early(machine, refusal)
    if machine.chunking:  # RFC 3030 §2: never both in one transaction
        return machine.reject(replies.CHUNKS_UNDER_WAY)
    if argument.strip():
        return machine.reject(replies.EXPECTED_NOTHING)
    return machine.owe(ContentBegins(chunking=False), _settle_data)


def bdat(machine: Machine, argument: bytes) -> Event | None:
    """BDAT size [LAST]. Whatever the answer, the octets that were announced are read (RFC 3030 §2)."""
    size, last = _parse_chunk(argument)
    if size is None:
        return machine.reject(replies.EXPECTED_CHUNK_SIZE)
    machine.remaining = size
    machine.last = last
    refusal = _out_of_sequence(machine)
    if refusal is not None:
        machine.verdict = refusal
        machine.reader = _reject_chunk
        return None
    limit = machine.settings.size_limit
    if limit and machine.octets + size > limit:
        return _abort_chunk(machine, replies.TOO_LARGE)
    if machine.chunking:
        machine.reader = _read_chunk
        return None
    return machine.owe(ContentBegins(chunking=True), _settle_chunking)


def finish(machine: Machine, reply: Reply) -> None:
    """The reply to the content, which ends the transaction; with LMTP one a recipient (RFC 2033 §4.2)."""
    machine.out.append(reply.wire * machine.recipients if machine.settings.lmtp else reply.wire)
    machine.reset_transaction()
    machine.reader = None


def finish_each(machine: Machine, answers: list[Reply]) -> None:
    """LMTP: one reply a recipient, in the order in which they were accepted."""
    if machine.owed is not _settle_end or not machine.settings.lmtp or len(answers) != machine.recipients:
        raise LocalProtocolError("one answer a recipient is owed at the end of an LMTP content, and nowhere else")
    machine.owed = None
    machine.out += [reply.wire for reply in answers]
    machine.reset_transaction()
    machine.reader = None


def _out_of_sequence(machine: Machine) -> Reply | None:
    if not machine.transaction:
        return replies.MAIL_FIRST if machine.greeted else replies.HELLO_FIRST
    return None if machine.recipients else replies.NO_RECIPIENTS


def _refuse_early(machine: Machine, reply: Reply) -> Event | None:
    if reply is not replies.NO_RECIPIENTS:
        return machine.refuse_sequel(reply)
    machine.say(reply)  # the recipients were refused, and that is no error of the client's
    return None


def _parse_chunk(argument: bytes) -> tuple[int | None, bool]:
    words = argument.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[1].upper() != b"LAST"):
        return None, False
    return parse_number(words[0]), len(words) == 2


# --- DATA -------------------------------------------------------------------------------------------------------


def _settle_data(machine: Machine, reply: Reply | None) -> None:
    if reply is not None and reply.code >= 400:
        machine.say(reply)
        machine.reset_transaction()
        return
    machine.in_content = True
    if machine.at < len(machine.buffer):
        machine.sent_too_early()
        return
    machine.say(replies.GO_AHEAD)
    machine.reader = _read_data
    machine.buffer, machine.at, machine.octets = CRLF, 0, -len(CRLF)


def _next_piece(machine: Machine) -> tuple[bytes, bool, bool]:
    """Octets that can be decided now, whether there are stuffed dots among them, and whether the data ends there."""
    buffer, at = machine.buffer, machine.at
    dot = end = buffer.find(_DOT_LINE, at)
    if dot >= 0 and not buffer.startswith(CRLF, dot + len(_DOT_LINE)):
        end = buffer.find(_END, dot)
    if end >= 0:
        stop = end + len(CRLF)
        machine.at = end + len(_END)
    else:
        stop = machine.at = len(buffer) - _held(buffer, at)
    return buffer[at:stop], 0 <= dot != end, end >= 0


def _held(buffer: bytes, at: int) -> int:
    """How many octets at the end may be the beginning of CRLF.CRLF."""
    for count in range(min(len(_END) - 1, len(buffer) - at), 0, -1):
        if buffer.endswith(_END[:count]):
            return count
    return 0


def _read_data(machine: Machine) -> Event | Need | None:
    at = machine.at
    piece, stuffed, ended = _next_piece(machine)
    if not piece:
        return NEED_DATA
    content = _admit(machine, piece, stuffed=stuffed)
    if isinstance(content, bytes):
        if ended:
            machine.reader = _read_end
        return ContentChunk(content) if content else None
    if content is replies.BARE_OCTET:
        machine.bare_octet()
        return None
    machine.at = at  # what follows the octet too many is still searched for bare ones
    machine.verdict = content
    machine.reader = _skip_data
    machine.in_content = False
    return ContentAborted(content)


def _skip_data(machine: Machine) -> Need | None:
    """Content that is refused already: read on, for its end alone."""
    piece, _, ended = _next_piece(machine)
    if not piece:
        return NEED_DATA
    if _first_fault(piece, lenient_lf=machine.settings.lenient_lf) < len(piece):
        machine.bare_octet()
    elif ended:
        machine.reader = _finish_refused
    return None


def _finish_refused(machine: Machine) -> None:
    finish(machine, machine.verdict)


def _read_end(machine: Machine) -> Event:
    machine.reader = None
    return machine.owe(ContentEnds(machine.octets, machine.had_bare_lf), _settle_end)


def _settle_end(machine: Machine, reply: Reply | None) -> None:
    if reply is None:
        raise LocalProtocolError("the end of content must be answered with a reply")
    if reply.code < 400:
        machine.commands = 0
    finish(machine, reply)


# --- what both have in common -----------------------------------------------------------------------------------


def _admit(machine: Machine, piece: bytes, *, stuffed: bool) -> bytes | Reply:
    """The piece as content, counted; or the reply that refuses it: of two faults, the earlier one's."""
    settings = machine.settings
    marks = len(piece.translate(None, ORDINARY))
    refusal = bare_lf = False
    if marks != 2 * piece.count(CRLF):
        fault = _first_fault(piece, lenient_lf=settings.lenient_lf)
        refusal = fault < len(piece)
        bare_lf = settings.lenient_lf
        piece = piece[:fault]
    if stuffed:
        piece = piece.replace(_DOT_LINE, CRLF)
    if bare_lf:
        piece = piece.replace(CRLF, b"\n").replace(b"\n", CRLF)
    before = machine.octets
    machine.octets = octets = before + len(piece)
    if octets > settings.size_limit > 0:
        return replies.TOO_LARGE
    if refusal:
        return replies.BARE_OCTET
    if bare_lf:
        machine.had_bare_lf = True
    return piece[len(CRLF) :] if before < 0 else piece


def _first_fault(piece: bytes, *, lenient_lf: bool) -> int:
    """Where the first NUL, bare CR or (unless `lenient_lf`) bare LF stands; the length of the piece if nowhere."""
    masked = piece.replace(CRLF, b"  ")
    places = [masked.find(b"\0"), masked.find(b"\r"), -1 if lenient_lf else masked.find(b"\n")]
    return min((place for place in places if place >= 0), default=len(piece))


# --- BDAT -------------------------------------------------------------------------------------------------------


def _settle_chunking(machine: Machine, reply: Reply | None) -> None:
    if reply is not None and reply.code >= 400:
        machine.verdict = reply
        machine.reader = _skip_chunk
        return
    machine.in_content = machine.chunking = True
    machine.reader = _read_chunk


def _read_chunk(machine: Machine) -> Event | Need | None:
    piece = _take(machine)
    if not piece and machine.remaining:
        return NEED_DATA
    complete = not machine.remaining
    piece = machine.carry + piece
    machine.carry = b""
    if piece.endswith(b"\r") and not (complete and machine.last):
        machine.carry = b"\r"  # its LF may be the first octet of what comes
        piece = piece[:-1]
    content = _admit(machine, piece, stuffed=False)
    if not isinstance(content, bytes):
        return _abort_chunk(machine, content)
    if complete:
        if machine.last:
            machine.reader = _read_end
        else:
            machine.reader = None
            machine.say(replies.CHUNK_OK)
    return ContentChunk(content) if content else None


def _abort_chunk(machine: Machine, reply: Reply) -> Event:
    machine.verdict = reply
    machine.reader = _skip_chunk
    machine.in_content = False
    return ContentAborted(reply)


def _skip_chunk(machine: Machine) -> Need | None:
    """Swallows the rest of a chunk whose transaction is refused; then that is said, and the transaction is over."""
    _take(machine)
    if machine.remaining:
        return NEED_DATA
    if machine.last:
        finish(machine, machine.verdict)
    else:
        machine.say(machine.verdict)
        machine.reset_transaction()
        machine.aborted = True
        machine.reader = None
    return None


def _reject_chunk(machine: Machine) -> Event | Need | None:
    """Swallows a chunk that came out of sequence."""
    _take(machine)
    if machine.remaining:
        return NEED_DATA
    machine.reader = None
    return _refuse_early(machine, machine.verdict)


def _take(machine: Machine) -> bytes:
    """What is there of the chunk."""
    at = machine.at
    machine.at = stop = min(at + machine.remaining, len(machine.buffer))
    machine.remaining -= stop - at
    return machine.buffer[at:stop]
