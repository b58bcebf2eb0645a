"""Presence: how many are there now under a name, over all workers; in shared memory, without locks.

Each worker adds in two rows of its own, at places that the name's hash gives. A name's count is the sum over the
workers, in the row where that is smaller. Names that meet others in both rows count too high, never too low: of 5,000
names one in fifty, by a few, which matters to no limit of dozens; and who meets whom depends on a secret. Nothing fills
up, and a dead worker's rows are cleared by whoever sees it die (`TallyMemory.free`).
"""

from __future__ import annotations

import struct
from typing import Final

from ekiden.storage.machine.tally_memory import CELLS, ROWS, TallyMemory

_PLACES: Final = struct.Struct("=HH")
_WORKER: Final = ROWS * CELLS
_MOST: Final = 2**16 - 1


class Presence:
    """Of one worker."""

    def __init__(self, memory: TallyMemory, worker: int) -> None:
        self._cells = memory.presence
        self._mine = worker * _WORKER
        self._workers = range(0, memory.workers * _WORKER, _WORKER)

    def enter(self, digest: bytes) -> int:
        cells, mine = self._cells, self._mine
        one, two = _rows(digest)
        if cells[mine + one] < _MOST and cells[mine + two] < _MOST:
            cells[mine + one] += 1
            cells[mine + two] += 1
        return self._count(one, two)

    def leave(self, digest: bytes) -> None:
        cells, mine = self._cells, self._mine
        one, two = _rows(digest)
        if cells[mine + one] and cells[mine + two]:
            cells[mine + one] -= 1
            cells[mine + two] -= 1

    def inside(self, digest: bytes) -> int:
        return self._count(*_rows(digest))

    def _count(self, one: int, two: int) -> int:
        cells = self._cells
        first = second = 0
        for worker in self._workers:
            first += cells[worker + one]
            second += cells[worker + two]
        return min(first, second)


def _rows(digest: bytes) -> tuple[int, int]:
    one, two = _PLACES.unpack_from(digest)
    return one % CELLS, CELLS + two % CELLS
