"""ReplyReader: octets from an SMTP or LMTP server -> replies (RFC 5321 §4.2).

Rules
1. A reply is one or more lines `ddd-text`, the last one `ddd text` or `ddd` alone (§4.2: a client should take the code
   without text). All lines carry the same code, from 200 to 599. What is not so is no reply: `PeerProtocolError`, and
   the session is out of step for good.
2. A line ends at LF, with or without CR before it. Being generous here is safe: only the server could split its
   own replies.
3. Limits: a line of 4096 octets (§4.5.3.1.5 allows 512; some servers explain themselves at length), 100 lines a reply
   (EHLO of a server with everything has about 25).
4. `next` looks at the code only; a `Reply` is built on demand, because most replies on a good day are never looked at.

Called by `proto.smtp.client`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ekiden.model.reply import Reply

MAX_LINE_OCTETS: Final = 4096
MAX_LINES: Final = 100
#: What is kept of a reply for people and the store: enough for any explanation, too little to fill a disk with.
KEPT_LINES: Final = 10
KEPT_CHARACTERS: Final = 512

_CODES: Final = {b"%d" % code: code for code in range(200, 600)}
_BLANK, _HYPHEN = 0x20, 0x2D


class PeerProtocolError(Exception):
    """What came is no SMTP reply. `str()`: what was wrong, for the trail; without the octets' control characters."""


class ReplyReader:
    """`lines`: those of the reply that `next` found last, code included, without line end."""

    __slots__ = ("_buffer", "_code", "_gathered", "_position", "lines")

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._code = 0
        self._gathered: list[bytes] = []
        self.lines: Sequence[bytes] = ()

    def feed(self, data: bytes) -> None:
        """At most one line stays in the buffer if `next` is called until it gives 0."""
        rest = self._buffer[self._position :] if self._position < len(self._buffer) else b""
        self._buffer = rest + data if rest else data
        self._position = 0

    @property
    def has_octets(self) -> bool:
        """There is something behind the last reply."""
        return self._position < len(self._buffer) or bool(self._gathered)

    def next(self) -> int:
        """The code of the next complete reply, or 0. Raises PeerProtocolError."""
        while True:
            start = self._position
            end = self._buffer.find(b"\n", start)
            if end < 0:
                if len(self._buffer) - start > MAX_LINE_OCTETS:
                    raise PeerProtocolError(f"a reply line of more than {MAX_LINE_OCTETS} octets")
                return 0
            if end - start > MAX_LINE_OCTETS:
                raise PeerProtocolError(f"a reply line of more than {MAX_LINE_OCTETS} octets")
            self._position = end + 1
            line = self._buffer[start:end].rstrip(b"\r")
            if not self._gathered and line[3:4] == b" " and line[:3] in _CODES:  # nearly always
                self.lines = (line,)
                return _CODES[line[:3]]
            code = self._line(line)
            if code:
                return code

    def _line(self, line: bytes) -> int:
        """Takes any line; the code, if it ends a reply."""
        code = _CODES.get(line[:3], 0)
        mark = line[3] if len(line) > 3 else _BLANK
        if not code or mark not in (_BLANK, _HYPHEN):
            raise PeerProtocolError(f"no SMTP reply: {_shown(line)}")
        if self._code and code != self._code:
            raise PeerProtocolError(f"a reply that begins with {self._code} and goes on with {code}")
        if mark == _BLANK and not self._gathered:
            self.lines = (line,)
            return code
        self._gathered.append(line)
        if mark == _BLANK:
            self.lines, self._gathered, self._code = self._gathered, [], 0
            return code
        if len(self._gathered) >= MAX_LINES:
            raise PeerProtocolError(f"a reply of more than {MAX_LINES} lines")
        self._code = code
        return 0

    def reply(self) -> Reply:
        """The reply that `next` found last."""
        return build_reply(self.lines)


def build_reply(lines: Sequence[bytes]) -> Reply:
    """Lines `ddd[-| ]text` -> Reply. The enhanced status code is taken out of the text if its class is the code's
    (RFC 2034 §4); else `status` is '' and the text stays whole. What is not UTF-8 gets replacement characters."""
    code = int(lines[0][:3])
    status, texts = "", []
    for line in lines[:KEPT_LINES]:
        text = line[4:].decode("utf-8", "replace")[:KEPT_CHARACTERS]
        first, _, rest = text.partition(" ")
        if (first == status or not status) and is_status(first, code):
            status, text = first, rest.lstrip()
        if not text.isprintable():
            text = "".join(character if character.isprintable() else " " for character in text)
        texts.append(text)
    return Reply(code, status, *texts)


def is_status(text: str, code: int) -> bool:
    """Whether `text` is an enhanced status code (RFC 3463 §2: class "." 1*3digit "." 1*3digit) of the code's class."""
    if len(text) < 5 or text[1] != "." or not text.isascii() or int(text[0] if text[0].isdigit() else 0) != code // 100:
        return False
    subject, dot, detail = text[2:].partition(".")
    return bool(dot) and subject.isdigit() and detail.isdigit() and len(subject) <= 3 and len(detail) <= 3


def _shown(line: bytes) -> str:
    text = line[:80].decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
