"""TtlCache: answers kept for a while, bounded in number and in octets. The clock is the caller's.

Rules
1. What is expired is never given out, and is dropped when it is met.
2. When full, what was used longest ago goes first.
3. `clamp_ttl` is the one place that says how long an answer lives (RFC 1035 §3.2.1, RFC 2308 §5, §7).

Called by net.resolver.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

#: Shorter TTLs are lengthened to this, in seconds: a TTL of 0 would cost one question a letter.
MIN_TTL: Final = 5.0
#: Longer TTLs are cut to this: who moves his mail server waits an hour for us, not a week.
MAX_TTL: Final = 3600.0
#: "No such name" and "no such record": who has just made his domain waits a quarter of an hour at most
#: (RFC 2308 §5 wants no more than 1 to 3 hours).
MAX_NEGATIVE_TTL: Final = 900.0
#: SERVFAIL, timeouts, nonsense (RFC 2308 §7: 5 minutes at most): a queue full of letters for a dead domain must not
#: ask anew for each of them.
FAILURE_TTL: Final = 10.0
#: 20,000 answers of the usual size take about 10 MB a worker.
MAX_ENTRIES: Final = 20_000
#: TXT answers reach 64 KiB each; so octets are bounded too.
MAX_OCTETS: Final = 16 * 1024 * 1024

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def clamp_ttl(ttl: float, *, negative: bool = False) -> float:
    """How long an answer with this TTL is kept, in seconds."""
    return min(max(ttl, MIN_TTL), MAX_NEGATIVE_TTL if negative else MAX_TTL)


class TtlCache(Generic[K, V]):
    """All times are seconds of a monotonic clock."""

    __slots__ = ("_entries", "_max_entries", "_max_octets", "octets")

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_octets: int = MAX_OCTETS) -> None:
        self._entries: OrderedDict[K, tuple[float, int, V]] = OrderedDict()
        self._max_entries = max_entries
        self._max_octets = max_octets
        self.octets = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """What was put under `key`, if its time is not over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[2]

    def put(self, key: K, value: V, *, ttl: float, octets: int, now: float) -> None:
        """Keeps `value` until `now + ttl`. `octets`: about what it weighs. Something too heavy for all is not kept."""
        if key in self._entries:
            self._drop(key)
        if octets > self._max_octets:
            return
        self._entries[key] = (now + ttl, octets, value)
        self.octets += octets
        while len(self._entries) > self._max_entries or self.octets > self._max_octets:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: K) -> None:
        self.octets -= self._entries.pop(key)[1]
