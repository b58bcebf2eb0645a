"""Heartbeats: a page of memory that the supervisor shares with its workers.

Each worker has a slot: when it last beat (CLOCK_BOOTTIME, so that a wall clock that jumps means nothing), and whether
it is ready. Reading and writing are single aligned stores, so nobody sees half of one: no lock.
(`struct.pack_into` would not do: it clears the place before it writes.)
"""

from __future__ import annotations

import mmap
import time
from typing import Final

#: Of a double.
_OCTETS: Final = 8


def boot_time() -> float:
    """Seconds since the machine was started, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heartbeats:
    """Made before the fork. Of each slot: the time of its last beat, then 1.0 if it is ready."""

    def __init__(self, slots: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, slots * 2 * _OCTETS)).cast("d")

    def begin(self, slot: int) -> None:
        """By the supervisor, before it forks the worker of `slot`."""
        self._numbers[2 * slot + 1] = 0.0
        self._numbers[2 * slot] = boot_time()

    def beat(self, slot: int, *, ready: bool) -> None:
        """By the worker."""
        self._numbers[2 * slot] = boot_time()
        self._numbers[2 * slot + 1] = float(ready)

    def last(self, slot: int) -> float:
        return self._numbers[2 * slot]

    def is_ready(self, slot: int) -> bool:
        return bool(self._numbers[2 * slot + 1])
