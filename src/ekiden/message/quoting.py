"""Making text safe to stand in a header field, a report or a MIME part. Grade A.

Used by dsn and its parts. Nothing here raises: what cannot be said becomes `?` or is left out.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

#: RFC 5322 §2.1.1: a line has 998 octets at most without its CRLF.
LINE_LIMIT: Final = 998
#: RFC 2045 §6.7 rule 5.
_QP_LINE: Final = 76
_QP_LITERAL: Final = frozenset(range(33, 127)) - {ord("=")}
_HEX: Final = tuple(b"=%02X" % octet for octet in range(256))
_ATEXT: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~")


def one_line(text: str, limit: int) -> str:
    """On one line: controls become blanks, runs of blanks one; cut to `limit` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 2]).split())[:limit]


def printable(text: str, limit: int) -> str:
    """Without controls, blanks as they are (a quoted local part may hold several); cut to `limit` characters."""
    return "".join(c for c in text[:limit] if c.isprintable())


def ascii_line(text: str, limit: int) -> str:
    """Like `one_line`, with `?` in place of what is not ASCII."""
    return one_line(text, limit).encode("ascii", "replace").decode("ascii")


def fold(name: str, value: str, width: int = 78) -> str:
    """`Name: value` with CRLFs, folded at blanks (RFC 5322 §2.2.3); a word longer than a line stays whole."""
    start = f"{name}:"
    lines, line = [], start
    for word in value.split(" "):
        if len(line) + 1 + len(word) > width and line != start:
            lines.append(line)
            line = f"    {word}"
        else:
            line = f"{line} {word}"
    lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def header_mailbox(path: str) -> str:
    """A path as an addr-spec of a header field (RFC 5322 §3.4.1). A local part that only an envelope may hold (doubled
    dots of old docomo and au addresses) is quoted; it is the same mailbox."""
    path = printable(path, LINE_LIMIT - 100)
    local, at, domain = path.rpartition("@")
    if not at:
        local, domain = path, ""
    if not (local.startswith('"') and local.endswith('"') and len(local) >= 2) and not _is_dot_atom(local):
        escaped = local.replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{escaped}"'
    return f"{local}{at}{domain}"


def _is_dot_atom(local: str) -> bool:
    return all(part and all(c in _ATEXT or not c.isascii() for c in part) for part in local.split("."))


def is_sendable(octets: bytes) -> bool:
    """True if it may stand in a 7bit or 8bit body (RFC 2045 §2.7, §2.8): CRLF line ends only, lines of at most 998
    octets, no NUL."""
    lines = octets.count(b"\r\n")
    if octets.count(b"\r") != lines or octets.count(b"\n") != lines or b"\0" in octets:
        return False
    return len(octets) <= LINE_LIMIT or all(len(line) <= LINE_LIMIT for line in octets.split(b"\r\n"))


def quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 §6.7, line by line; CRLFs stay, lone CR and LF are encoded, so that any octets come back the same."""
    return b"\r\n".join(_qp_line(line) for line in octets.split(b"\r\n"))


def _qp_line(line: bytes) -> bytes:
    out, width = [], 0
    last = len(line) - 1
    for index, octet in enumerate(line):
        blank_inside = octet in b" \t" and index != last
        piece = bytes((octet,)) if octet in _QP_LITERAL or blank_inside else _HEX[octet]
        if width + len(piece) > _QP_LINE - 1:  # room for the soft line break
            out.append(b"=\r\n")
            width = 0
        out.append(piece)
        width += len(piece)
    return b"".join(out)


def encoded_words(text: str) -> str:
    """A header field's text; what is not ASCII in encoded words of 75 characters at most, folded (RFC 2047 §2)."""
    if text.isascii():
        return text
    words, word = [], ""
    for character in text:
        if len((word + character).encode()) > _ENCODED_WORD_OCTETS:
            words.append(word)
            word = ""
        word += character
    return "\r\n ".join(f"=?utf-8?B?{b64encode(part.encode()).decode()}?=" for part in [*words, word])


#: 75 characters less `=?utf-8?B?` and `?=`, in base64.
_ENCODED_WORD_OCTETS: Final = 45
