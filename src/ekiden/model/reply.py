"""Reply: what an SMTP or LMTP server answers (RFC 5321 §4.2), with its enhanced status code (RFC 3463, RFC 2034).

Rules
1. A reply is rendered once, when it is made; fixed replies are module constants (see `proto.smtp.replies`).
2. Every reply that carries a class of 2, 4 or 5 has an enhanced status code, except the greeting, EHLO and
   HELO replies, 354 and 334 (RFC 2034 §4, RFC 4954 §6).
3. Text is printable ASCII, or UTF-8 where SMTPUTF8 was agreed; CR, LF and other controls never reach the wire.
"""

from __future__ import annotations

from typing import Final

#: RFC 5321 §4.5.3.1.5: a reply line is at most 512 octets with its CRLF. Text is cut so that each line stays under it.
MAX_REPLY_LINE: Final = 512


class Reply:
    """A three-digit code, an enhanced status code such as `5.1.1` (or ''), and at least one line of text.

    `wire` is the whole reply in octets with CRLFs, made once. Two replies are equal if their wire form is.
    """

    __slots__ = ("code", "lines", "status", "wire")

    def __init__(self, code: int, status: str, *lines: str) -> None:
        self.code = code
        self.status = status
        self.lines = lines or ("",)
        self.wire = _render(code, status, self.lines)

    @property
    def text(self) -> str:
        """All lines joined by a blank, without code and status."""
        return " ".join(self.lines)

    @property
    def is_positive(self) -> bool:
        """2xx, or 3xx: go on (RFC 5321 §4.2.1)."""
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """4xx: the same may be accepted later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5xx: the same will be refused again."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}" if self.status else f"{self.code} {self.text}"

    def __repr__(self) -> str:
        return f"Reply({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and other.wire == self.wire

    def __hash__(self) -> int:
        return hash(self.wire)


def _render(code: int, status: str, lines: tuple[str, ...]) -> bytes:
    prefix = f"{status} " if status else ""
    last = len(lines) - 1
    out = []
    for number, line in enumerate(lines):
        clean = line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)
        octets = f"{code}{' ' if number == last else '-'}{prefix}{clean}\r\n".encode()
        if len(octets) > MAX_REPLY_LINE:
            octets = octets[: MAX_REPLY_LINE - 2].decode("utf-8", "ignore").encode() + b"\r\n"
        out.append(octets)
    return b"".join(out)
