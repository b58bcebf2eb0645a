"""MemoryTally: counts and memories in one process's memory, for tests and tools. Several views share one, as workers
share a machine; `die` ends one as SIGKILL does."""

from __future__ import annotations

from collections import Counter

from ekiden.ports.clock import Clock
from ekiden.ports.tally import MOST_DISTINCT
from ekiden.storage import window as windows


class MemoryTally:
    def __init__(self, clock: Clock, shared: MemoryTally | None = None) -> None:
        """`shared`: another view; both then count together."""
        self._clock = clock
        self._counts: dict[str, windows.State] = shared._counts if shared else {}
        self._memories: dict[str | tuple[str, bytes], tuple[float, float]] = shared._memories if shared else {}
        self._everywhere: Counter[str] = shared._everywhere if shared else Counter()
        self._here: Counter[str] = Counter()

    def add(self, name: str, window: float, amount: int = 1) -> int:
        now = self._clock.monotonic()
        state = self._counts[name] = windows.add(self._counts.get(name, windows.EMPTY), now, window, amount)
        return windows.count(state, now, window)

    def add_distinct(self, name: str, item: bytes, window: float) -> int:
        count = self.count(name, window)
        if count < MOST_DISTINCT and self._remember((name, item), windows.lasts(window)) is not None:
            return count
        return self.add(name, window)

    def count(self, name: str, window: float) -> int:
        return windows.count(self._counts.get(name, windows.EMPTY), self._clock.monotonic(), window)

    def wait(self, name: str, window: float, most: int) -> float:
        return windows.wait(self._counts.get(name, windows.EMPTY), self._clock.monotonic(), window, most)

    def remember(self, name: str, seconds: float) -> float | None:
        return self._remember(name, seconds)

    def _remember(self, name: str | tuple[str, bytes], seconds: float) -> float | None:
        now = self._clock.monotonic()
        first, until = self._memories.get(name, (now, 0.0))
        known = until > now
        self._memories[name] = (first if known else now, max(until, now + seconds))
        return now - first if known else None

    def recall(self, name: str) -> float | None:
        now = self._clock.monotonic()
        first, until = self._memories.get(name, (now, 0.0))
        return now - first if until > now else None

    def forget(self, name: str) -> None:
        self._counts.pop(name, None)
        self._memories.pop(name, None)

    def enter(self, name: str) -> int:
        self._here[name] += 1
        self._everywhere[name] += 1
        return self._everywhere[name]

    def leave(self, name: str) -> None:
        if self._here[name] > 0:
            self._here[name] -= 1
            self._everywhere[name] -= 1

    def inside(self, name: str) -> int:
        return self._everywhere[name]

    def die(self) -> None:
        self._everywhere.subtract(self._here)
        self._here.clear()

    def close(self) -> None:
        self.die()
