"""The content of a multi-line response: dot-stuffing, the final CRLF, and TOP's cut (RFC 1939 §3, §7). Pure, streamed.

What goes in are pieces of a message whose line ends are all CRLF, cut anywhere. Used by `proto.pop3.server`.
"""

from __future__ import annotations


class DotStuffer:
    """`feed` pieces, then `finish` once: it adds a CRLF if the message has none at its end, and the final dot."""

    __slots__ = ("_carry", "_line_start")

    def __init__(self) -> None:
        self._carry = b""  # a CR at the end of a piece: its LF may come with the next
        self._line_start = True

    def feed(self, data: bytes) -> bytes:
        if self._carry:
            data = self._carry + data
            self._carry = b""
        if data.endswith(b"\r"):
            self._carry = b"\r"
            data = data[:-1]
        if not data:
            return b""
        if b"\r\n." in data:
            stuffed = data.replace(b"\r\n.", b"\r\n..")
        else:
            stuffed = data
        if self._line_start and data[:1] == b".":
            stuffed = b"." + stuffed
        self._line_start = data.endswith(b"\r\n")
        return stuffed

    def finish(self) -> bytes:
        ends = self._line_start and not self._carry
        return self._carry + (b".\r\n" if ends else b"\r\n.\r\n")


class TopCutter:
    """Lets the header section, the empty line and `lines` lines of the body pass (RFC 1939 §7 TOP)."""

    __slots__ = ("_left", "_tail", "done")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._tail: bytes | None = b"\r\n"  # of the header section, as if a line had ended; None: in the body
        self.done = False

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        start = 0
        if self._tail is not None:
            joined = self._tail + data
            found = joined.find(b"\r\n\r\n")
            if found < 0:
                self._tail = joined[-3:]
                return data
            start = found + 4 - len(self._tail)
            self._tail = None
        return data[: self._cut(data, start)]

    def _cut(self, data: bytes, start: int) -> int:
        """Where `data`, body from `start` on, is to be cut."""
        inside = data.count(b"\n", start)
        if inside < self._left:
            self._left -= inside
            return len(data)
        position = start
        while self._left:
            position = data.index(b"\n", position) + 1
            self._left -= 1
        self.done = True
        return position
