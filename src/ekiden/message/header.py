"""The header section of a letter, found and read as octets (RFC 5322 §2.1, §2.2). Grade A.

Nothing here changes or copies a body: the scanner tells where fields lie, `find` does the work, no regular expression.

Rules
1. Line ends are CRLF; a lone CR or LF is an octet of a value like any other (the door has refused or mended it).
2. The section ends behind the first empty line; or in front of the first line that is neither a field nor a
   continuation (no colon, or no field name before it), as every parser in the field takes it: what follows is
   body (`separated` is then False); or with the content.
3. A field name is 1 or more printable ASCII octets but colon; blanks between it and the colon are taken
   (RFC 5322 §4.5.1 obs-optional). Names are compared in lower case.
4. A continuation begins with SP or TAB (§2.2.3); a line of blanks alone is one too (§4.2 obs-FWS).

Used by session (hop count, Message-ID, what submission completes), delivery and dsn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

#: The largest header section, in octets. It is held in memory as a whole, so it must have a bound; Postfix takes
#: 102,400 (header_size_limit), Gmail 500,000, list servers and ARC chains reach some ten thousands.
HEADER_LIMIT: Final = 256 * 1024
#: A Message-ID longer than this is cut for logs and the queue: RFC 5322 §2.1.1 allows a line of 998.
_MESSAGE_ID_LIMIT: Final = 998
_FTEXT: Final = bytes(range(33, 58)) + bytes(range(59, 127))


class Field(NamedTuple):
    """One field. `name` in lower case; `value`: unfolded, blanks around it stripped. `start`, `end`: where it lies in
    the section, its final CRLF included."""

    name: bytes
    value: bytes
    start: int
    end: int


class HeaderSection:
    """A scanned header section. `octets` may go on behind it; `end` is where the body begins.

    `separated`: an empty line ends it (counted in `end`, not in `fields_end`). `truncated`: it is larger than `limit`;
    the letter is to be refused.
    """

    __slots__ = ("_names", "_starts", "end", "fields_end", "octets", "separated", "truncated")

    def __init__(self, octets: bytes, limit: int = HEADER_LIMIT) -> None:
        self.octets = octets
        self._names, self._starts, self.end, self.separated = _scan(octets)
        self.fields_end = self.end - 2 if self.separated else self.end
        self.truncated = self.end > limit

    @property
    def raw(self) -> bytes:
        """The section's octets, its empty line included."""
        return self.octets[: self.end]

    def __iter__(self) -> Iterator[Field]:
        return map(self._field, range(len(self._names)))

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: bytes) -> bool:
        return name in self._names

    def count(self, name: bytes) -> int:
        """How many fields of this name (in lower case); `received` are the hops of RFC 5321 §6.3."""
        return self._names.count(name)

    def first(self, name: bytes) -> bytes | None:
        """The first field's value, unfolded and stripped; None if there is no such field."""
        return self._field(self._names.index(name)).value if name in self._names else None

    def _field(self, index: int) -> Field:
        """Fields lie side by side: each ends where the next begins."""
        start = self._starts[index]
        end = self._starts[index + 1] if index + 1 < len(self._starts) else self.fields_end
        colon = self.octets.find(b":", start)
        return Field(self._names[index], unfold(self.octets[colon + 1 : end]), start, end)

    @property
    def message_id(self) -> str:
        """`<left@right>` of the first Message-ID field; what stands there if it has no angle brackets; '' if none."""
        value = self.first(b"message-id")
        if value is None:
            return ""
        opened = value.find(b"<")
        closed = value.find(b">", opened)
        if opened != -1 and closed != -1:
            value = value[opened : closed + 1]
        text = value[:_MESSAGE_ID_LIMIT].decode("utf-8", "replace")
        return text if text.isprintable() else "".join(c for c in text if c.isprintable())


class HeaderReader:
    """Gathers a header section out of chunks, each looked at once, however small.

    `feed` until it returns True (or the content ends: `finish`). Then `section` is there, and `gathered` is all that
    was fed: header section and the first octets of the body. `section.truncated`: over the limit, refuse the letter.
    """

    __slots__ = ("_limit", "_parts", "_searched", "gathered", "section")

    def __init__(self, limit: int = HEADER_LIMIT) -> None:
        self._limit = limit
        self._parts = bytearray()
        self._searched = 0
        self.gathered = b""
        self.section: HeaderSection | None = None

    def feed(self, data: bytes) -> bool:
        """True if the section is complete. Not to be called again after that."""
        if not self._parts and find_header_end(data) != -1:  # nearly always: it came with the first chunk
            self._complete(data)
            return True
        self._parts += data
        if find_header_end(self._parts, self._searched) != -1:
            self._complete(bytes(self._parts))
            return True
        if len(self._parts) > self._limit:
            self._stop_at_limit(bytes(self._parts))
            return True
        self._searched = len(self._parts)
        return False

    def finish(self) -> HeaderSection:
        """The content is over: what was fed is a header section without body, or a body without header section."""
        if self.section is None:
            self._complete(bytes(self._parts))
        assert self.section is not None
        return self.section

    def _complete(self, octets: bytes) -> None:
        self.gathered = octets
        self.section = HeaderSection(octets, self._limit)
        self._parts.clear()

    def _stop_at_limit(self, octets: bytes) -> None:
        """No empty line within the limit: too large, unless a malformed line had ended the section long ago. The line
        that has not come whole yet says nothing about that."""
        self._complete(octets)
        head, line_end, _ = octets.rpartition(b"\r\n")
        whole_lines = head + line_end or octets
        self.section = HeaderSection(whole_lines, self._limit)
        self.section.truncated = self.section.end == len(whole_lines)


def find_header_end(octets: bytes | bytearray, searched: int = 0) -> int:
    """The offset behind the first empty line (that line at the very start: no header section), or -1 if none came yet.

    `searched`: how many octets earlier calls have seen. A malformed line may end the section earlier: `HeaderSection`
    says so."""
    if octets.startswith(b"\r\n"):
        return 2
    found = octets.find(b"\r\n\r\n", max(searched - 3, 0))
    return found + 4 if found != -1 else -1


def unfold(value: bytes) -> bytes:
    """Without the CRLFs of folding (RFC 5322 §2.2.3), without blanks at both ends."""
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    return value.strip(b" \t")


def _scan(octets: bytes) -> tuple[list[bytes], list[int], int, bool]:
    """Lower-case names and starts of the fields; where the body begins; whether an empty line parts it."""
    end = find_header_end(octets)
    separated = end != -1
    if end == 2:
        return [], [], 2, True
    names: list[bytes] = []
    starts: list[int] = []
    known = _NAMES.get
    start = 0
    for line in (octets[: end - 4] if separated else octets).split(b"\r\n"):
        written, colon, _ = line.partition(b":")
        name = known(written)
        if (name is not None and colon) or (line[:1] not in _BLANKS and colon and (name := _learn(written))):
            names.append(name)
            starts.append(start)
        elif not (names and line[:1] in _BLANKS):  # rule 2; or the nothing behind the CRLF with which the content ends
            return names, starts, start, False
        start += len(line) + 2
    return names, starts, end if separated else len(octets), separated


_BLANKS: Final = frozenset((b" ", b"\t"))
#: Field names as written -> in lower case: letters share theirs. A memo, bounded in number and in length of its keys.
_NAMES: Final[dict[bytes, bytes]] = {}
_NAMES_LIMIT: Final = 2048
_NAME_LENGTH_LIMIT: Final = 76


def _learn(written: bytes) -> bytes:
    """The name in lower case, or b'' if it is no field name (rule 3)."""
    name = written.rstrip(b" \t")
    if name.translate(None, _FTEXT):
        return b""
    name = name.lower()
    if name and len(written) <= _NAME_LENGTH_LIMIT:
        if len(_NAMES) >= _NAMES_LIMIT:
            _NAMES.clear()
        _NAMES[written] = name
    return name
