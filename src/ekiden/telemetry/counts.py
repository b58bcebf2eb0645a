"""LiveCounts: what a worker counts, in memory: the last second, the last minute, and what is not yet in the store.

Rules
1. `add` is two dict lookups and an addition; everything else happens once a second.
2. Bounded: `KEYS_A_SECOND` keys a measure and second, `KEYS_A_MINUTE` until the store takes them; the rest is counted
   under `other`, so that totals are right whoever makes up a million names. Of accounts and next hops, which strangers
   may have many of, the last minute has the sum alone.
3. A store that fails gets it all the next time: `take` gives what has gathered, and `give_back` adds it again.

One a worker, on its loop. Fed by `telemetry.counting`; read by `app.watching`.
"""

from __future__ import annotations

from collections import deque
from heapq import nlargest
from typing import Final

from ekiden.model.measures import MEASURES, OTHER, Measure

SECONDS: Final = 60
KEYS_A_SECOND: Final = 50
KEYS_A_MINUTE: Final = 200
#: Keys of a measure that are shown live.
KEYS_SHOWN: Final = 20

#: No key of the minute need go to `other`: a second has `other` besides, and the 61st is not gone yet.
_ROOM: Final = (KEYS_A_SECOND + 1) * (SECONDS + 1)

#: The keys of these are ours: doors and rules.
_SHOWN_BY_KEY: Final = frozenset(measure.name for measure in MEASURES if measure.by in ("door", "rule"))

Buckets = dict[str, dict[str, int]]


class LiveCounts:
    """`ports.counts.Counts`."""

    def __init__(self) -> None:
        self._second: Buckets = {}
        self._seconds: deque[Buckets] = deque()
        self._minute: Buckets = {}
        self._gathered: Buckets = {}

    def add(self, measure: Measure, key: str, amount: int = 1) -> None:
        bucket = self._second.get(measure.name)
        if bucket is None:
            bucket = self._second[measure.name] = {}
        _count(bucket, key, amount, KEYS_A_SECOND)

    def tick(self) -> None:
        """Once a second."""
        second, self._second = self._second, {}
        live = {
            name: bucket if name in _SHOWN_BY_KEY else {"": sum(bucket.values())} for name, bucket in second.items()
        }
        self._seconds.append(live)
        _merge(self._minute, live, _ROOM)
        _merge(self._gathered, second, KEYS_A_MINUTE)
        if len(self._seconds) > SECONDS:
            _take_off(self._minute, self._seconds.popleft())

    def minute(self) -> Buckets:
        """Of the last `SECONDS` ticks; of each measure the `KEYS_SHOWN` highest, and `other`."""
        return {name: _highest(bucket) for name, bucket in self._minute.items()}

    def take(self) -> Buckets:
        """All that was counted since the last time, up to the last tick."""
        gathered, self._gathered = self._gathered, {}
        return gathered

    def give_back(self, gathered: Buckets) -> None:
        _merge(self._gathered, gathered, KEYS_A_MINUTE)


def _count(bucket: dict[str, int], key: str, amount: int, most: int) -> None:
    if key not in bucket and len(bucket) >= most:
        key = OTHER
    bucket[key] = bucket.get(key, 0) + amount


def _merge(into: Buckets, more: Buckets, most: int) -> None:
    for name, counts in more.items():
        bucket = into.setdefault(name, {})
        for key, amount in counts.items():
            _count(bucket, key, amount, most)


def _take_off(bucket_of: Buckets, gone: Buckets) -> None:
    """No key of `gone` is new to the minute: it was merged into it, and room for every key of 60 seconds is there."""
    for name, counts in gone.items():
        bucket = bucket_of[name]
        for key, amount in counts.items():
            left = bucket[key] - amount
            if left:
                bucket[key] = left
            else:
                del bucket[key]
        if not bucket:
            del bucket_of[name]


def _highest(bucket: dict[str, int]) -> dict[str, int]:
    if len(bucket) <= KEYS_SHOWN:
        return dict(bucket)
    shown = dict(nlargest(KEYS_SHOWN, bucket.items(), key=lambda item: item[1]))
    shown[OTHER] = shown.get(OTHER, 0) + sum(bucket.values()) - sum(shown.values())
    return shown
