"""The parts of a letter, found while its content streams by (RFC 2046 §5). Grade A.

    walk = MimeWalk(sink)
    walk.begin(header_section)
    walk.feed(octets_of_the_body) ...
    walk.finish()

Rules
1. Each octet is looked at once and then forgotten: time is linear in the letter, memory is what LIMITS says, however
   deep, long or many. What is past a limit is not examined any more, and `sink.blind` says why.
2. Where readers differ, all that one of them may see is a part: also behind the closing delimiter, and a part whose
   header section has no end. Where that cannot be (two boundaries, two encodings) `sink.blind` says so.
3. A leaf's octets are given decoded, to what `sink.leaf` gives; None if nobody wants them.
4. Lines end with CRLF: the door has seen to that.
5. Parts within message/rfc822 are parts like others.

Called by `session.examination`.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from ekiden.message.header import HeaderSection
from ekiden.message.parameters import Described, read_parameters
from ekiden.message.transfer import Decoder, Identity, decoder_of

#: Ten forwards of forwards come to thirty; nobody reads what lies deeper.
MAX_DEPTH: Final = 50
#: A digest of a day has a hundred.
MAX_PARTS: Final = 1000
#: The header section of one part, and of all of them.
MAX_PART_HEADER: Final = 64 * 1024
MAX_HEADERS: Final = 1024 * 1024
#: RFC 2046 §5.1.1 allows 70; real ones reach 100.
MAX_BOUNDARY: Final = 256
#: A delimiter with the blanks behind it.
MAX_DELIMITER: Final = 1024
#: Lines that begin as delimiters do and are none: signatures, patches. Each costs a look.
MAX_CANDIDATES: Final = 100_000


class Part(NamedTuple):
    """A leaf. `names`: all that it calls itself, '' excluded. `type`: as declared, such as `application/pdf`.
    `attached`: its disposition says attachment."""

    names: tuple[str, ...]
    type: str
    attached: bool


class Leaf(Protocol):
    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class Sink(Protocol):
    def leaf(self, part: Part) -> Leaf | None: ...

    def blind(self, reason: str) -> None:
        """Something cannot be examined. May come more than once."""


class MimeWalk:
    """`depth` counts the multiparts and messages around what is being read."""

    __slots__ = (
        "_boundaries",
        "_buffer",
        "_candidates",
        "_decoder",
        "_default",
        "_depth",
        "_done",
        "_headers",
        "_in_header",
        "_leaf",
        "_line",
        "_parts",
        "_sink",
        "_skip",
        "_stack",
    )

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._skip = 0  # octets at the buffer's head that are no content
        self._stack: list[tuple[bytes, int, str]] = []  # boundary, depth, default type of its parts
        self._boundaries: dict[bytes, int] = {}  # -> its last place in the stack
        self._depth = 0
        self._parts = 0
        self._headers = 0
        self._candidates = 0
        self._in_header = False
        self._line = 0  # where the first line of a header section begins that was not looked at
        self._default = "text/plain"
        self._leaf: Leaf | None = None
        self._decoder: Decoder = Identity()
        self._done = False

    def begin(self, section: HeaderSection) -> None:
        """The letter's own header section."""
        self._buffer, self._skip = b"\r\n", 2  # so that each delimiter stands behind a CRLF
        self._open(section)

    def feed(self, data: bytes) -> None:
        if self._done:
            return
        self._buffer = self._buffer + data if self._buffer else data
        while not self._done and (self._read_header() if self._in_header else self._read_body()):
            pass

    def finish(self) -> None:
        if self._in_header:
            self.feed(b"\r\n\r\n")  # the content ends within it
        if self._done:
            return
        if not (self._buffer.startswith(b"\r\n--") and self._delimits(self._buffer[2:])):
            self._give(self._buffer)
        self._close_leaf()
        self._done = True

    # --- bodies -----------------------------------------------------------------------------------------------

    def _read_body(self) -> bool:
        """True if a part begins behind it."""
        if not self._stack:
            self._give(self._buffer)
            return False
        buffer, position = self._buffer, 0
        while True:
            at = buffer.find(b"\r\n--", position)
            if at == -1:
                return self._keep(buffer, len(buffer) - _begun(buffer))
            end = buffer.find(b"\r\n", at + 4)
            if end == -1 and len(buffer) - at <= MAX_DELIMITER:
                return self._keep(buffer, at)
            line = buffer[at + 2 : at + MAX_DELIMITER if end == -1 else end]
            if self._delimits(line):
                if end == -1:
                    return self._stop("a boundary followed by too many blanks")
                self._give(buffer[:at])
                return self._delimited(line, buffer[end:])
            self._candidates += 1
            if self._candidates > MAX_CANDIDATES:
                return self._stop("too many lines that look like boundaries")
            position = at + 2

    def _keep(self, buffer: bytes, start: int) -> bool:
        """What comes before `start` is content; the rest is looked at with what follows."""
        self._give(buffer[:start])
        self._skip = max(self._skip - start, 0)
        self._buffer = buffer[start:]
        return False

    def _give(self, data: bytes) -> None:
        if self._leaf is not None and len(data) > self._skip:
            decoded = self._decoder.feed(data[self._skip :] if self._skip else data)
            if decoded:
                self._leaf.feed(decoded)
        if not self._stack:
            self._buffer, self._skip = b"", 0

    def _delimits(self, line: bytes) -> bool:
        text = line.rstrip(b" \t")
        return text in self._boundaries or (text.endswith(b"--") and text[:-2] in self._boundaries)

    def _delimited(self, line: bytes, rest: bytes) -> bool:
        """`rest`: from the CRLF that ends the line."""
        self._close_leaf()
        text = line.rstrip(b" \t")
        closes = text not in self._boundaries
        place = self._boundaries[text[:-2] if closes else text]
        del self._stack[place + 1 :]
        self._boundaries = {boundary: index for index, (boundary, _, _) in enumerate(self._stack)}
        _, self._depth, self._default = self._stack[place]
        if closes:  # rule 2: a part may still follow
            self._buffer, self._skip = rest, 0
        else:
            self._buffer, self._skip, self._in_header = rest[2:], 0, True
        return True

    def _close_leaf(self) -> None:
        leaf, self._leaf = self._leaf, None
        if leaf is not None:
            if decoded := self._decoder.finish():
                leaf.feed(decoded)
            leaf.finish()

    # --- header sections of parts -----------------------------------------------------------------------------

    def _read_header(self) -> bool:
        """True if it is complete: its body begins."""
        buffer, start = self._buffer, self._line
        while True:
            end = buffer.find(b"\r\n", start)
            if end == -1 or start > MAX_PART_HEADER:
                self._line = start
                too_large = start > MAX_PART_HEADER or len(buffer) - start > MAX_PART_HEADER
                return self._stop("a header section of a part that is too large") if too_large else False
            line = buffer[start:end]
            if not line or (line.startswith(b"--") and self._delimits(line)):
                break
            start = end + 2
        self._headers += start
        if self._headers > MAX_HEADERS:
            return self._stop("header sections of parts that are too large together")
        section = HeaderSection(buffer[: end + 2 if not line else start])
        self._in_header, self._line = False, 0
        self._buffer, self._skip = b"\r\n" + buffer[section.end :], 2
        self._open(section)
        return True

    def _open(self, section: HeaderSection) -> None:
        """A part, or the letter itself, whose body comes next."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            self._stop("too many parts")
            return
        kind = self._described(section, b"content-type", self._default)
        encoding = self._encoding(section)
        family, _, subtype = kind.value.partition("/")
        if family == "multipart" and self._push(kind, subtype):
            return
        if kind.value in ("message/rfc822", "message/global", "message/news"):
            self._open_message(encoding)
            return
        shown = self._described(section, b"content-disposition", "")
        names = [*shown.all("filename"), *shown.all("name"), *kind.all("name"), *kind.all("filename")]
        part = Part(tuple(dict.fromkeys(filter(None, names))), kind.value, shown.value == "attachment")
        self._leaf = self._sink.leaf(part)
        self._decoder = decoder_of(encoding)

    def _open_message(self, encoding: str) -> None:
        if encoding not in ("", "7bit", "8bit", "binary"):  # RFC 2046 §5.2.1 forbids it; some programs decode it
            self._sink.blind("an encoded letter within the letter")
            return
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._stop("parts nested too deep")
            return
        self._default, self._in_header = "text/plain", True
        self._buffer, self._skip = self._buffer[self._skip :], 0

    def _push(self, kind: Described, subtype: str) -> bool:
        """False: it has no boundary, so that it is a leaf (what Python, and mail programs, make of it)."""
        boundaries = [octets.rstrip(b" \t") for octets in kind.octets("boundary")]
        if len(set(boundaries)) > 1:
            self._sink.blind("two boundaries for one part")
        boundary = next(filter(None, boundaries), b"")
        octets = b"--" + boundary
        if not boundary or len(octets) > MAX_BOUNDARY:
            self._sink.blind("a multipart without a boundary" if not boundary else "a boundary that is too long")
            return False
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._stop("parts nested too deep")
            return True
        self._boundaries[octets] = len(self._stack)
        self._stack.append((octets, self._depth, "message/rfc822" if subtype == "digest" else "text/plain"))
        return True

    def _described(self, section: HeaderSection, name: bytes, default: str) -> Described:
        """Of several fields the first counts; others may say something else to other readers."""
        values = [field.value for field in section if field.name == name] if name in section else []
        if not values:
            return Described(default, ())
        described = read_parameters(values[0])
        if any(value != values[0] for value in values[1:]):
            self._sink.blind("a part with two different types")
        if not described.whole:
            self._sink.blind("a field with too many parameters")
        if name == b"content-type" and "/" not in described.value:
            return described._replace(value="text/plain")  # RFC 2045 §5.2
        return described

    def _encoding(self, section: HeaderSection) -> str:
        found = [field.value for field in section if field.name == b"content-transfer-encoding"]
        values = {value.decode("latin-1").partition(";")[0].strip().lower() for value in found}
        if len(values) > 1:
            self._sink.blind("a part with two encodings")
        return found[0].decode("latin-1").partition(";")[0].strip().lower() if found else ""

    def _stop(self, reason: str) -> bool:
        self._done = True
        self._leaf = None
        self._buffer = b""
        self._sink.blind(reason)
        return False


def _begun(buffer: bytes) -> int:
    """How many octets at the end may be the beginning of a delimiter's line."""
    return next((n for n in (3, 2, 1) if buffer.endswith(b"\r\n--"[:n])), 0)
