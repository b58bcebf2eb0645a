"""DropView: the messages of a session with their deletion marks, as STAT, LIST, UIDL, DELE and RSET see them. Pure.

Messages are numbered from 1 on the wire, from 0 here. Numbers stay what they are for the whole session (RFC 1939 §5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ekiden.ports.mailboxes import DropItem

#: How many lines of a listing are made at a time: about 32 KiB. A maildrop of any size costs one piece of memory.
LISTED_AT_ONCE: Final = 1024

END_OF_LISTING: Final = b".\r\n"
#: (message number, item) -> the line of LIST or UIDL, without CRLF.
LineOf = Callable[[int, DropItem], str]


class DropView:
    """`total_octets`: the sum of all sizes; the store knows it, so nobody adds up a hundred thousand numbers here."""

    __slots__ = ("_marked", "_marked_octets", "_total_octets", "items")

    def __init__(self, items: Sequence[DropItem] = (), total_octets: int = 0) -> None:
        self.items = items
        self._total_octets = total_octets
        self._marked: set[int] = set()
        self._marked_octets = 0

    @property
    def count(self) -> int:
        return len(self.items) - len(self._marked)

    @property
    def octets(self) -> int:
        return self._total_octets - self._marked_octets

    @property
    def summary(self) -> str:
        return f"{self.count} messages ({self.octets} octets)"

    @property
    def marked(self) -> tuple[int, ...]:
        return tuple(sorted(self._marked))

    def has(self, index: int) -> bool:
        """Exists and is not marked deleted."""
        return 0 <= index < len(self.items) and index not in self._marked

    def mark(self, index: int) -> None:
        self._marked.add(index)
        self._marked_octets += self.items[index].size_octets

    def unmark_all(self) -> None:
        self._marked.clear()
        self._marked_octets = 0

    def listing(self, line: LineOf) -> Iterator[bytes]:
        """The lines of all messages that are not marked, in pieces; the last is `END_OF_LISTING`."""
        for start in range(0, len(self.items), LISTED_AT_ONCE):
            end = min(start + LISTED_AT_ONCE, len(self.items))
            lines = [line(i + 1, self.items[i]) for i in range(start, end) if i not in self._marked]
            if lines:
                yield "\r\n".join([*lines, ""]).encode()
        yield END_OF_LISTING
