"""Counts, which whoever counts adds to; CountStore, which keeps what was counted by the hour; LiveBoard, what workers
say of the last minute.

Rules
1. `Counts.add` is for the hot path: it never raises, waits or writes.
2. The store may lose the last minute of a process that is killed. A store that fails must not fail the mail.
3. Hours are counted since 1970: `int(now // 3600)`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from ekiden.model.measures import Measure

#: Counts by the name of the measure and the key.
Counted = Mapping[str, Mapping[str, int]]


class CountsFailed(Exception):
    """`str()` is one sentence for the postmaster."""


class Counts(Protocol):
    def add(self, measure: Measure, key: str, amount: int = 1) -> None: ...


class CountStore(Protocol):
    """All of it raises CountsFailed."""

    async def add(self, hour: int, counted: Counted) -> None:
        """More of these, in that hour."""

    async def peak(self, hour: int, measure: str, value: int) -> None:
        """The hour's count of a measure without keys is at least this."""

    async def totals(self, measure: str, hours: Collection[int]) -> dict[int, int]:
        """Of all keys together. An hour without any is left out."""

    async def top(self, measure: str, hour: int, limit: int) -> dict[str, int]:
        """The keys with the highest counts, the highest first."""

    async def first_hour(self, measure: str) -> int | None:
        """The earliest that is kept."""

    async def begin_telling(self, subject: str, hour: int) -> bool:
        """True once for each subject and hour, over all processes and restarts; hours only grow, but for a clock that
        was a day or more ahead and was set right."""

    async def tidy(self, hour: int) -> None:
        """Folds and forgets what is old, as of `hour`. Cheap if there is nothing to do."""


class LiveRow(msgspec.Struct):
    """What a worker says each second. `time`: seconds since 1970. `sessions`: by door, now. `minute`: counts of the
    last 60 seconds; of each measure the highest keys, the rest in `other`. `guessers`: networks with wrong logins in
    the last half to one hour, the most first. `in_memory`: legs that the worker has in memory."""

    worker: int
    pid: int
    time: float
    sessions: dict[str, int] = {}
    minute: dict[str, dict[str, int]] = {}
    guessers: list[tuple[str, int]] = []
    in_memory: int = 0


class LiveBoard(Protocol):
    def rows(self) -> list[LiveRow]:
        """Of workers that said something in the last seconds, by number. Nothing is there if none runs."""
