"""Places: who is hashed next, and who has to come back later. Pure; `storage.passwords` holds its lock around it.

Rules
1. At most `threads` checks run.
2. Who is known comes first. Strangers never have more than half of the threads (but one), so that a storm of guesses
   leaves the other half to the people who live here.
3. At most `strangers` of them wait, and `known` of the others; one more has no place.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Places(Generic[T]):
    """`T`: whatever the caller wants to find again when its turn comes."""

    def __init__(self, threads: int, *, known: int, strangers: int) -> None:
        self._threads = threads
        self._half = max(1, threads // 2)
        self._room = {True: known, False: strangers}
        self._waiting: dict[bool, deque[T]] = {True: deque(), False: deque()}
        self._running = {True: 0, False: 0}

    @property
    def taken(self) -> int:
        """Running and waiting."""
        return sum(self._running.values()) + sum(map(len, self._waiting.values()))

    def ask(self, work: T, *, known: bool) -> bool:
        """False: there is no place. Else it waits for `next`, which should be called now."""
        queue = self._waiting[known]
        if len(queue) >= self._room[known] and (queue or not self._may_run(known)):
            return False
        queue.append(work)
        return True

    def next(self) -> tuple[T, bool] | None:
        """What may run now, and whether it is known; give its place back with `finished`. None: nothing."""
        for known in (True, False):
            if self._waiting[known] and self._may_run(known):
                self._running[known] += 1
                return self._waiting[known].popleft(), known
        return None

    def finished(self, *, known: bool) -> None:
        self._running[known] -= 1

    def drop_all(self) -> list[T]:
        """What waited waits no longer."""
        dropped = [work for queue in self._waiting.values() for work in queue]
        for queue in self._waiting.values():
            queue.clear()
        return dropped

    def _may_run(self, known: bool) -> bool:  # noqa: FBT001 - a key
        if sum(self._running.values()) >= self._threads:
            return False
        return known or self._running[False] < self._half
