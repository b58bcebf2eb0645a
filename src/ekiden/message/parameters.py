"""Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183), as mail programs read them. Grade A.

Rules
1. Lenient, for a strict reader sees less than the program that opens the attachment: quotes may be missing, a value
   may hold blanks, a name may come twice; then all of its values are given.
2. RFC 2231: `name*=utf-8''a%20b` (§4), `name*0=`, `name*1*=` in the order of their numbers (§3). A value without them
   may hold encoded words, which RFC 2047 §5 forbids and many programs write.
3. At most MAX_PARAMETERS; linear time; never raises.

Called by `message.mime_walk`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ekiden.message.charsets import as_written, decode
from ekiden.message.encoded_words import decode_words

#: A field has three or four; RFC 2231 cuts a long name into pieces of a line each.
MAX_PARAMETERS: Final = 200
_BLANKS: Final = b" \t\r\n"


class Described(NamedTuple):
    """`value`: in lower case, such as `text/plain` or `attachment`. `parameters`: name in lower case, text, and the
    octets that it was. `whole`: all of them were read."""

    value: str
    parameters: tuple[tuple[str, str, bytes], ...]
    whole: bool = True

    def all(self, name: str) -> list[str]:
        return [value for known, value, _ in self.parameters if known == name]

    def octets(self, name: str) -> list[bytes]:
        return [octets for known, _, octets in self.parameters if known == name]


def read_parameters(value: bytes) -> Described:
    """`value`: unfolded."""
    pieces = _pieces(value)
    head = as_written(next(pieces, b"")).strip().lower()
    plain: list[tuple[str, str, bytes]] = []
    cut: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for number, piece in enumerate(pieces):
        if number >= MAX_PARAMETERS:
            return Described(head, (*plain, *_joined(cut)), whole=False)
        written, equals, given = piece.partition(b"=")
        if not equals:
            continue
        name, star, section = as_written(written).strip(" \t\r\n").lower().partition("*")
        octets = _unquoted(given)
        if not star:
            plain.append((name, decode_words(octets), octets))
            if _goes_on(given):  # "a.txt".exe: what it is called depends on the program
                octets = given.replace(b'"', b"").strip(_BLANKS)
                plain.append((name, decode_words(octets), octets))
        elif not section:
            plain.append((name, (text := _extended(octets)), text.encode()))
        else:
            index = section.removesuffix("*")
            if index.isascii() and index.isdigit() and len(index) < 6:
                cut.setdefault(name, {}).setdefault(int(index), (octets, section.endswith("*")))
    return Described(head, (*plain, *_joined(cut)))


def _pieces(value: bytes) -> Iterator[bytes]:
    """What stands between semicolons; those within quotes do not count, unless the quote never ends."""
    start = position = 0
    while True:
        end = value.find(b";", position)
        if end == -1:
            yield value[start:]
            return
        opened = value.find(b'"', position, end)
        closed = _closing_quote(value, opened + 1) if opened != -1 else -1
        if closed != -1:
            position = closed + 1
            continue
        if opened != -1:  # no quote ends any more: nothing is quoted from here on
            yield from value[start:].split(b";")
            return
        yield value[start:end]
        start = position = end + 1


def _closing_quote(value: bytes, start: int) -> int:
    while True:
        end = value.find(b'"', start)
        if end == -1:
            return -1
        escapes = end - len(value[start:end].rstrip(b"\\")) - start
        if escapes % 2 == 0:
            return end
        start = end + 1


def _unquoted(given: bytes) -> bytes:
    given = given.strip(_BLANKS)
    if not given.startswith(b'"'):
        return given
    end = _closing_quote(given, 1)
    inner = given[1:end] if end != -1 else given[1:]
    return inner.replace(b"\\\\", b"\0").replace(b"\\", b"").replace(b"\0", b"\\") if b"\\" in inner else inner


def _goes_on(given: bytes) -> bool:
    """Whether something stands behind the closing quote."""
    given = given.strip(_BLANKS)
    return given[:1] == b'"' and -1 < _closing_quote(given, 1) < len(given) - 1


def _extended(octets: bytes) -> str:
    """RFC 2231 §4: charset'language'percent-encoded."""
    charset, quote, rest = octets.partition(b"'")
    _, second, coded = rest.partition(b"'")
    if not quote or not second:
        return as_written(_percent_decoded(octets))
    return decode(_percent_decoded(coded), charset.decode("latin-1"))


def _percent_decoded(octets: bytes) -> bytes:
    if b"%" not in octets:
        return octets
    first, *others = octets.split(b"%")
    found = [first]
    for piece in others:
        try:
            found.append(bytes((int(piece[:2], 16),)) + piece[2:] if len(piece) > 1 else b"%" + piece)
        except ValueError:
            found.append(b"%" + piece)
    return b"".join(found)


def _joined(cut: dict[str, dict[int, tuple[bytes, bool]]]) -> Iterator[tuple[str, str, bytes]]:
    """RFC 2231 §3: only the first piece names the charset."""
    for name, sections in cut.items():
        charset, octets = "", b""
        for index in sorted(sections):
            piece, coded = sections[index]
            if coded and not octets and b"'" in piece:
                head, _, rest = piece.partition(b"'")
                charset, piece = head.decode("latin-1"), rest.partition(b"'")[2]
            octets += _percent_decoded(piece) if coded else piece
        yield name, decode(octets, charset) if charset else decode_words(octets), octets
