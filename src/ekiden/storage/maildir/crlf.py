"""Line ends of stored messages: counting them, and turning lone LFs into CRLFs. Pure, streamed.

What we deliver has CRLFs. Files that other programs put into a Maildir often have lone LFs; POP3 transmits CRLFs, and
the sizes that it tells must be those of what it transmits (RFC 1939 §11).
"""

from __future__ import annotations


class LineEnds:
    """Feed it all octets. `size`: as they are; `transmitted`: as RETR sends them: with CRLFs, one at the very end."""

    __slots__ = ("_after_cr", "_last", "_lone", "size")

    def __init__(self) -> None:
        self.size = 0
        self._lone = 0
        self._after_cr = False
        self._last = b""

    def feed(self, data: bytes) -> None:
        if not data:
            return
        self._lone += lone_lfs(data, after_cr=self._after_cr)
        self._after_cr = data.endswith(b"\r")
        self._last = (self._last + data[-2:])[-2:]
        self.size += len(data)

    @property
    def transmitted(self) -> int:
        ended = not self.size or self._last.endswith(b"\n")
        return self.size + self._lone + (0 if ended else 2)


class ToCrlf:
    """Turns lone LFs into CRLFs, piece by piece; CRLFs and lone CRs stay."""

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, data: bytes) -> bytes:
        after_cr, self._after_cr = self._after_cr, data.endswith(b"\r")
        if not lone_lfs(data, after_cr=after_cr):
            return data
        first = b""
        if after_cr and data.startswith(b"\n"):
            first, data = b"\n", data[1:]
        return first + data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def lone_lfs(data: bytes, *, after_cr: bool) -> int:
    """LFs without a CR before them. `after_cr`: the octet before `data` was a CR."""
    lone = data.count(b"\n") - data.count(b"\r\n")
    return lone - 1 if after_cr and data.startswith(b"\n") else lone
