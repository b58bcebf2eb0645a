"""Heartbeats: a page of memory that the supervisor shares with its workers.

Each worker has a slot: when it last beat (CLOCK_BOOTTIME, so that a wall clock that jumps means nothing), and whether
it is ready. Reading and writing are single aligned stores: no lock.
"""

from __future__ import annotations

import mmap
import struct
import time
from typing import Final

_SLOT: Final = struct.Struct("=dq")


def boot_time() -> float:
    """Seconds since the machine was started, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heartbeats:
    """Made before the fork."""

    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, slots * _SLOT.size)

    def begin(self, slot: int) -> None:
        """By the supervisor, before it forks the worker of `slot`."""
        _SLOT.pack_into(self._memory, slot * _SLOT.size, boot_time(), 0)

    def beat(self, slot: int, *, ready: bool) -> None:
        """By the worker."""
        _SLOT.pack_into(self._memory, slot * _SLOT.size, boot_time(), int(ready))

    def last(self, slot: int) -> float:
        beat: float = _SLOT.unpack_from(self._memory, slot * _SLOT.size)[0]
        return beat

    def is_ready(self, slot: int) -> bool:
        return bool(_SLOT.unpack_from(self._memory, slot * _SLOT.size)[1])
