"""Rates of a machine: one small file of records, each the arrival time of a rate (`storage.rate`).

Rules
1. A record is 16 octets: a hash of the rate's name, and its arrival time in seconds since the machine started
   (CLOCK_BOOTTIME, so that jumps of the wall clock and a suspended machine change nothing). It is written by one write
   within one page, before the tokens are used: a process that is killed has written all of it or nothing.
2. Records stand in buckets. A bucket is read and written under its lock, which is never waited for: who finds it taken
   asks again in a moment.
3. A record whose time is past says nothing (`storage.rate`) and is overwritten when its bucket is full; so the file
   stays below a megabyte however many rates there were. Should all of a bucket be busy, a new rate waits for the first
   to end: too slow rather than too fast.
4. The hash includes the boot: what was written before a restart of the machine counts for nothing. A minute that has
   a restart in it may so exceed a rate by `Rate.burst`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ekiden.ports.slots import Grant
from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.rate import SPAN, rate_of, spend

BUCKETS: Final = 1024
#: Records of a bucket: 1,024 octets, within one page.
PLACES: Final = 64
#: Until a bucket that another process is at is tried again, in seconds. That takes it microseconds.
BUSY: Final = 0.005
#: Arrival times further ahead than this were never written by us.
_FURTHEST: Final = 2 * SPAN
_RECORD: Final = struct.Struct("=Qd")
_BUCKET_OCTETS: Final = PLACES * _RECORD.size


def boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Rates:
    """Raises OSError, at any time: then nothing was granted."""

    def __init__(self, path: Path, now: Callable[[], float] = boot_time) -> None:
        self._locks = ByteLocks(path)
        self._now = now
        self._boot = _boot_id()

    def spend(self, name: str, per_minute: int, wanted: int) -> Grant:
        digest = blake2b(name.encode("utf-8", "surrogatepass"), key=self._boot, digest_size=16).digest()
        key = int.from_bytes(digest[:8], "big") or 1  # 0: an empty place
        bucket = int.from_bytes(digest[8:], "big") % BUCKETS
        if not self._locks.lock(bucket):
            return Grant(0, BUSY)
        try:
            return self._spend(bucket * _BUCKET_OCTETS, key, per_minute, wanted)
        finally:
            self._locks.unlock(bucket)

    def _spend(self, start: int, key: int, per_minute: int, wanted: int) -> Grant:
        now = self._now()
        octets = os.pread(self._locks.descriptor, _BUCKET_OCTETS, start).ljust(_BUCKET_OCTETS, b"\0")
        place, arrival, first = -1, 0.0, _FURTHEST
        for index, (found, when) in enumerate(_RECORD.iter_unpack(octets)):
            ahead = when - now if now < when <= now + _FURTHEST else 0.0  # also of what is not a number
            if found == key:
                place, arrival = index, now + ahead
                break
            if not ahead and place < 0:
                place = index
            first = min(first, ahead)
        if place < 0:
            return Grant(0, first)
        grant, arrival = spend(arrival, now, rate_of(per_minute), wanted)
        if grant.granted:
            written = os.pwrite(self._locks.descriptor, _RECORD.pack(key, arrival), start + place * _RECORD.size)
            if written != _RECORD.size:
                raise OSError("the rates' file took only a part of a record")
        return grant

    def close(self) -> None:
        self._locks.close()


def _boot_id() -> bytes:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:64]
    return b""
