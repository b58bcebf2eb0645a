"""MemoryEvents: the store of events in a process's memory, for tests and for a server that has none yet.

Several views share one list, as processes share a folder.
"""

from __future__ import annotations

from collections.abc import Sequence

from ekiden.ports.event_store import EventEntry, EventQuery, FoundEvents, KeptEvent
from ekiden.storage.event_search import meets

_DAY = 86_400
#: The one key of a mark.
_SEEN = "all"


class MemoryEvents:
    """`ports.event_store.EventStore` and `EventKeeper` in one."""

    def __init__(self, *, days: int = 30, octets: int = 1 << 30, shared: MemoryEvents | None = None) -> None:
        self.days = days
        self.octets = octets
        self._entries: dict[int, EventEntry] = shared._entries if shared else {}

    def write(self, entries: Sequence[EventEntry]) -> None:
        first = max(self._entries, default=0) + 1
        self._entries.update(enumerate(entries, first))

    def tidy(self, now: float) -> None:
        oldest = (now // _DAY - self.days) * _DAY
        for number in [number for number, entry in self._entries.items() if entry.time < oldest]:
            del self._entries[number]
        size = sum(len(entry.line) for entry in self._entries.values())
        for number in sorted(self._entries, key=lambda number: self._entries[number].time):
            if size <= self.octets:
                break
            size -= len(self._entries.pop(number).line)

    async def find(self, query: EventQuery) -> FoundEvents:
        behind = -1 if query.after is None else query.after.get(_SEEN, 0)
        found = [(n, e) for n, e in self._entries.items() if n > behind and meets(e, query)]
        if query.after is None:
            found = sorted(found, key=lambda one: (one[1].time, one[0]))[-query.limit :]
            end = max(self._entries, default=0)
        else:
            more = len(found) > query.limit
            found = found[: query.limit]
            end = found[-1][0] if more else max(self._entries, default=behind)
            found.sort(key=lambda one: (one[1].time, one[0]))
        return FoundEvents([KeptEvent(e.time, e.line) for _, e in found], {_SEEN: end})

    def close(self) -> None:
        """Nothing is open."""
