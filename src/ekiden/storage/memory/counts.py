"""MemoryCounts: `ports.counts.CountStore` for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ekiden.ports.counts import Counted


class MemoryCounts:
    """`hours`: counts by measure, hour and key."""

    def __init__(self) -> None:
        self.hours: dict[tuple[str, int], Counter[str]] = {}
        self._told: dict[str, int] = {}

    async def add(self, hour: int, counted: Counted) -> None:
        for measure, bucket in counted.items():
            self.hours.setdefault((measure, hour), Counter()).update(bucket)

    async def peak(self, hour: int, measure: str, value: int) -> None:
        bucket = self.hours.setdefault((measure, hour), Counter())
        bucket[""] = max(bucket[""], value)

    async def totals(self, measure: str, hours: Collection[int]) -> dict[int, int]:
        return {hour: self.hours[measure, hour].total() for hour in hours if (measure, hour) in self.hours}

    async def top(self, measure: str, hour: int, limit: int) -> dict[str, int]:
        bucket = self.hours.get((measure, hour), Counter[str]())
        return dict(sorted(bucket.items(), key=lambda item: (-item[1], item[0]))[:limit])

    async def first_hour(self, measure: str) -> int | None:
        return min((hour for name, hour in self.hours if name == measure), default=None)

    async def begin_telling(self, subject: str, hour: int) -> bool:
        if hour <= self._told.get(subject, -1) <= hour + 24:
            return False
        self._told[subject] = hour
        return True

    async def tidy(self, hour: int) -> None:
        """Everything is kept."""

    def close(self) -> None:
        """Nothing is open."""
