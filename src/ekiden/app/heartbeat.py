"""Heartbeats: a page of memory that the supervisor shares with its workers.

Each worker has a slot: when it last beat (CLOCK_BOOTTIME, so that a wall clock that jumps means nothing), whether it is
ready, and how many sessions it has (`net.balance`). Reading and writing are single aligned stores, so nobody sees half
of one: no lock. (`struct.pack_into` would not do: it clears the place before it writes.)
"""

from __future__ import annotations

import mmap
import time
from typing import Final

#: A worker that has not beaten for so long takes no sessions off others, in seconds.
AWAKE_SECONDS: Final = 1.0
#: Of a double.
_OCTETS: Final = 8


def boot_time() -> float:
    """Seconds since the machine was started, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heartbeats:
    """Made before the fork. Of each slot: the time of its last beat, 1.0 if it is ready, and its sessions (-1: it
    accepts none)."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._numbers = memoryview(mmap.mmap(-1, slots * 3 * _OCTETS)).cast("d")

    def begin(self, slot: int) -> None:
        """By the supervisor, before it forks the worker of `slot`."""
        self._numbers[3 * slot + 2] = -1.0
        self._numbers[3 * slot + 1] = 0.0
        self._numbers[3 * slot] = boot_time()

    def beat(self, slot: int, *, ready: bool) -> None:
        """By the worker."""
        self._numbers[3 * slot] = boot_time()
        self._numbers[3 * slot + 1] = float(ready)

    def last(self, slot: int) -> float:
        return self._numbers[3 * slot]

    def is_ready(self, slot: int) -> bool:
        return bool(self._numbers[3 * slot + 1])

    def tell_sessions(self, slot: int, sessions: int) -> None:
        """By the worker."""
        self._numbers[3 * slot + 2] = float(sessions)

    def least_sessions(self, slot: int) -> int:
        """Of the others that accept and have beaten lately; -1 if there is none."""
        numbers = self._numbers
        awake = boot_time() - AWAKE_SECONDS
        return int(
            min(
                (
                    numbers[3 * other + 2]
                    for other in range(self._slots)
                    if other != slot and numbers[3 * other + 2] >= 0 and numbers[3 * other] > awake
                ),
                default=-1.0,
            )
        )


class WorkerBalance:
    """`net.balance.Balance` of the worker in `slot`."""

    def __init__(self, heartbeats: Heartbeats, slot: int) -> None:
        self._heartbeats = heartbeats
        self._slot = slot

    def tell(self, sessions: int) -> None:
        self._heartbeats.tell_sessions(self._slot, sessions)

    def least(self) -> int:
        return self._heartbeats.least_sessions(self._slot)
