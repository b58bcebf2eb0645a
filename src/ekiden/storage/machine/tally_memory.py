"""TallyMemory: the pages in which all workers of a machine count. Made by the supervisor before it forks; anonymous, so
that no full or broken disk can take a worker with it (a mapped file would: SIGBUS).

    numbers     ready (1.0), and what is to be added to the machine's uptime to get the tally's time
    secrets     the key of names, and that of items, which is never written to disk
    table       buckets of 1,024 octets (`table`), 77 MiB, of which only what was used is ever in memory
    dirty       one octet a page of the table: changed since the last snapshot
    presence    for each worker two rows of 16-bit counters (`presence`); only that worker writes there

Single aligned stores are seen whole or not at all; what is longer is written under a lock (`table`).
"""

from __future__ import annotations

import mmap
import os
from typing import Final

PAGE: Final = 4096
BUCKET: Final = 1024
#: Buckets of the three levels; each a multiple of the first, so that the first one's lock holds for all.
LEVELS: Final = (512, 4096, 73_728)
TABLE_OCTETS: Final = sum(LEVELS) * BUCKET
PAGES: Final = TABLE_OCTETS // PAGE
SECRET: Final = 16
#: Counters of a row, and rows of a worker.
CELLS: Final = 32_768
ROWS: Final = 2
_PRESENCE_OCTETS: Final = ROWS * CELLS * 2


class TallyMemory:
    """`table` and `dirty` are maps; `numbers` and `presence` views of numbers."""

    def __init__(self, workers: int) -> None:
        head = mmap.mmap(-1, PAGE)
        self.workers = workers
        self.numbers = memoryview(head)[:64].cast("d")
        self._secrets = memoryview(head)[64 : 64 + 2 * SECRET]
        self._secrets[:] = os.urandom(2 * SECRET)
        self.table = mmap.mmap(-1, TABLE_OCTETS)
        self.dirty = mmap.mmap(-1, PAGES)
        self.presence = memoryview(mmap.mmap(-1, workers * _PRESENCE_OCTETS)).cast("H")

    @property
    def ready(self) -> bool:
        return bool(self.numbers[0])

    def begin(self, offset: float, secret: bytes = b"") -> None:
        """By the first worker, once. `secret`: of the snapshot, if there was one."""
        if secret:
            self._secrets[:SECRET] = secret
        self.numbers[1] = offset
        self.numbers[0] = 1.0

    @property
    def offset(self) -> float:
        return self.numbers[1]

    @property
    def name_secret(self) -> bytes:
        return bytes(self._secrets[:SECRET])

    @property
    def item_secret(self) -> bytes:
        return bytes(self._secrets[SECRET:])

    def free(self, worker: int) -> None:
        """Nobody is there any more: that worker is dead, or begins."""
        start = worker * ROWS * CELLS
        self.presence[start : start + ROWS * CELLS] = memoryview(bytes(_PRESENCE_OCTETS)).cast("H")
