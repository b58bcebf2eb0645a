"""Connections that one worker may have open at once, over all sites.

A worker that delivers to two thousand domains must not run out of file descriptors, which its doors need too. Sites
that find no room stand in a queue; while somebody stands there, nobody keeps an idle connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

#: Well below the 1,024 descriptors that a process gets on most systems unless it asks for more.
CONNECTIONS: Final = 400


class Budget:
    __slots__ = ("_limit", "_used", "_waiting")

    def __init__(self, limit: int = CONNECTIONS) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_contended(self) -> bool:
        return bool(self._waiting)

    def take(self, wake: Callable[[], None]) -> bool:
        """True: one more may be opened; `give` it back. False: `wake` is called once when there is room."""
        if self._used >= self._limit:
            if wake not in self._waiting:
                self._waiting.append(wake)
            return False
        self._used += 1
        return True

    def give(self) -> None:
        self._used -= 1
        while self._waiting and self._used < self._limit:
            self._waiting.popleft()()  # who needs none any more takes none: the next one is asked
