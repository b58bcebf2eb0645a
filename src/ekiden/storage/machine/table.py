"""Table: records under keyed hashes, in memory that the workers share.

Rules
1. A record is a key of 8 octets, the second until which it means something, and nine numbers. 21 records are a bucket:
   first all keys, so that one `find` looks at them, then the seconds, then the numbers.
2. A key has one bucket in each of three levels. A new record goes into the first one with a place that means nothing
   any more; when all three are full, the record of the last that would be forgotten first makes room. So a few thousand
   keys touch little memory, and however many there were it is never more than all levels.
3. Writing needs the lock of the key's first bucket (`locks`, free when its holder dies). It is held for microseconds.
   Who does not get it in `TRIES` and `NAPS` (its holder was stopped in the middle) goes on without: a count may then
   miss one, but nobody stands still.
4. Reading needs no lock. Who reads while another writes may see some numbers of before and some of after.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import time
from typing import Final

from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.tally_memory import BUCKET, LEVELS, PAGE

KEY: Final = 8
RECORDS: Final = 21
NUMBERS: Final = 9
#: Looks at a lock that another process holds, a microsecond each; a holder on another processor has let go by then.
TRIES: Final = 50
#: Further looks, with a pause for a holder that waits for a processor: a few milliseconds in all.
NAPS: Final = 50
NAP_SECONDS: Final = 0.0001
Numbers = tuple[int, ...]

_UNTILS: Final = struct.Struct(f"={RECORDS}I")
_UNTIL: Final = struct.Struct("=I")
_NUMBERS: Final = struct.Struct(f"={NUMBERS}I")
_KEYS_END: Final = RECORDS * KEY
_NUMBERS_START: Final = _KEYS_END + _UNTILS.size
assert _NUMBERS_START + RECORDS * _NUMBERS.size <= BUCKET
assert all(level % LEVELS[0] == 0 for level in LEVELS)
_STARTS: Final = tuple(sum(LEVELS[:level]) * BUCKET for level in range(len(LEVELS)))
#: Locks above those of the buckets, for what else workers must not do together.
LOADING: Final = LEVELS[0]
SNAPSHOT: Final = LEVELS[0] + 1


class Table:
    def __init__(self, memory: mmap.mmap, dirty: mmap.mmap, locks: ByteLocks) -> None:
        self._memory = memory
        self._dirty = dirty
        self._locks = locks

    def lock(self, place: int) -> bool:
        """Rule 3. `place`: the second half of the digest. False: go on without, and do not unlock."""
        with contextlib.suppress(OSError):  # no memory for locks
            for turn in range(TRIES + NAPS):
                if self._locks.lock(place % LEVELS[0]):
                    return True
                if turn < TRIES:
                    os.sched_yield()
                else:
                    time.sleep(NAP_SECONDS)
        return False

    def unlock(self, place: int) -> None:
        with contextlib.suppress(OSError):
            self._locks.unlock(place % LEVELS[0])

    def read(self, key: bytes, place: int, now: float) -> Numbers | None:
        """What is kept under the key and still means something."""
        found = self._find(key, place)
        if found is None:
            return None
        bucket, record = found
        memory = self._memory
        (until,) = _UNTIL.unpack_from(memory, bucket + _KEYS_END + 4 * record)
        numbers = _NUMBERS.unpack_from(memory, bucket + _NUMBERS_START + _NUMBERS.size * record)
        at = bucket + KEY * record
        return numbers if until > now and memory[at : at + KEY] == key else None

    def until(self, key: bytes, place: int) -> int:
        """The second until which the record means something; 0: there is none."""
        found = self._find(key, place)
        if found is None:
            return 0
        until: int = _UNTIL.unpack_from(self._memory, found[0] + _KEYS_END + 4 * found[1])[0]
        return until

    def write(self, key: bytes, place: int, now: float, until: int, numbers: Numbers) -> None:
        """Under the lock."""
        bucket, record = self._find(key, place) or self._room(place, now)
        memory = self._memory
        at = bucket + KEY * record
        memory[at : at + KEY] = key
        _UNTIL.pack_into(memory, bucket + _KEYS_END + 4 * record, until)
        _NUMBERS.pack_into(memory, bucket + _NUMBERS_START + _NUMBERS.size * record, *numbers)
        self._dirty[bucket // PAGE] = 1

    def erase(self, key: bytes, place: int) -> None:
        """Under the lock."""
        found = self._find(key, place)
        if found is not None:
            _UNTIL.pack_into(self._memory, found[0] + _KEYS_END + 4 * found[1], 0)
            self._dirty[found[0] // PAGE] = 1

    def _find(self, key: bytes, place: int) -> tuple[int, int] | None:
        """Where its bucket begins, and which record of it."""
        memory = self._memory
        for start, buckets in zip(_STARTS, LEVELS, strict=True):
            bucket = start + place % buckets * BUCKET
            at = memory.find(key, bucket, bucket + _KEYS_END)
            while at >= 0:
                if (at - bucket) % KEY == 0:
                    return bucket, (at - bucket) // KEY
                at = memory.find(key, at + 1, bucket + _KEYS_END)  # the end of one key and the beginning of another
        return None

    def _room(self, place: int, now: float) -> tuple[int, int]:
        for start, buckets in zip(_STARTS, LEVELS, strict=True):
            bucket = start + place % buckets * BUCKET
            untils = _UNTILS.unpack_from(self._memory, bucket + _KEYS_END)
            first = min(untils)
            if first <= now:
                break
        return bucket, untils.index(first)


def is_over(page: bytes, now: float) -> bool:
    """No record of this page of the table means anything any more."""
    return all(max(_UNTILS.unpack_from(page, bucket + _KEYS_END)) <= now for bucket in range(0, PAGE, BUCKET))
