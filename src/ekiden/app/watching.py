"""Watching: what a worker counts goes to the live board each second, and to the store each minute; one of the workers
looks for anomalies.

Rules
1. Each second: one small file is written (`storage.machine.board`). Each minute: one transaction. Both in threads: a
   file system that is busy with syncs may keep any write waiting. Nothing of it is on the way of a letter.
2. Who has the duty (a lock that the kernel takes back when its process ends) also samples the queue, folds old counts,
   and looks for anomalies.
3. What fails is told once, until it works again; counts that could not be written are written with the next ones.

Made and ticked by `app.worker`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ekiden.admin.watchman import Watchman
from ekiden.app.compose import Works
from ekiden.app.stores import WATCH_FOLDER, open_counts
from ekiden.config.model import Config
from ekiden.model.measures import QUEUE, UP
from ekiden.policy.anomaly import HOUR
from ekiden.ports.counts import CountsFailed, LiveRow
from ekiden.ports.spool import SpoolFailed
from ekiden.spool.notices import Notices
from ekiden.storage.machine.board import BoardWriter
from ekiden.storage.machine.locks import ByteLocks
from ekiden.telemetry.counts import SECONDS, LiveCounts
from ekiden.telemetry.guessers import Guessers


class Watching:
    """Raises StoreRefused."""

    def __init__(self, config: Config, worker: int, works: Works, counts: LiveCounts, guessers: Guessers) -> None:
        self._worker = worker
        self._works = works
        self._counts = counts
        self._guessers = guessers
        self._store = open_counts(config)
        self._folder = Path(config.data_dir, WATCH_FOLDER)
        self._board: BoardWriter | None = None
        self._telling = asyncio.Lock()
        self._locks: ByteLocks | None = None
        self._watchman = Watchman(self._store, works.events, works.clock, self._letters)
        self._ticks = 0
        self._is_writing = False
        self._is_closed = False
        self._failing: dict[str, str] = {}

    def tick(self) -> None:
        """Once a second."""
        if self._is_closed:
            return
        self._counts.tick()
        self._guessers.tick(self._works.clock.monotonic())
        self._ticks += 1
        if self._ticks % SECONDS == 0 and not self._is_writing:
            self._is_writing = True
            self._works.spawn(self._write(), "counts")
        if not self._telling.locked():
            self._works.spawn(self._tell(self._row()), "board")

    def _row(self) -> LiveRow:
        return LiveRow(
            worker=self._worker,
            pid=os.getpid(),
            time=self._works.clock.now(),
            sessions=self._works.doors.sessions(),
            minute=self._counts.minute(),
            guessers=self._guessers.most(),
            in_memory=self._works.window.used_legs,
        )

    async def _tell(self, row: LiveRow) -> None:
        async with self._telling:
            if self._is_closed:
                return
            try:
                await asyncio.to_thread(self._write_row, row)
                self._failing.pop("board", None)
            except OSError as error:
                self._failed("board", error)

    def _write_row(self, row: LiveRow) -> None:
        """In a thread. Raises OSError."""
        if self._board is None:
            self._board = BoardWriter(self._folder, self._worker)
        self._board.write(row)

    async def close(self) -> None:
        """Writes what was counted since the last minute."""
        self._is_closed = True
        async with self._telling:
            if self._board is not None:
                self._board.close()
        self._counts.tick()
        await self._flush(self._hour())
        self._store.close()
        if self._locks is not None:
            self._locks.close()

    async def _write(self) -> None:
        hour = self._hour()
        try:
            if not await self._flush(hour):
                return
            if self._has_duty():
                await self._duty(hour)
            self._failing.pop("counts", None)
        except (CountsFailed, SpoolFailed, OSError) as error:
            self._failed("counts", error)
        finally:
            self._is_writing = False

    def _letters(self) -> Notices | None:
        return self._works.notices if self._works.config.watch.anomaly_mail else None

    async def _flush(self, hour: int) -> bool:
        """False: the store failed."""
        gathered = self._counts.take()
        try:
            await self._store.add(hour, gathered)
        except CountsFailed as error:
            self._counts.give_back(gathered)
            self._failed("counts", error)
            return False
        return True

    async def _duty(self, hour: int) -> None:
        """Rule 2."""
        await self._store.add(hour, {UP.name: {"": 1}})
        queued = await self._works.spool.counts()
        await self._store.peak(hour, QUEUE.name, queued.get("waiting", 0))
        await self._store.tidy(hour)
        await self._watchman.look()

    def _has_duty(self) -> bool:
        """Raises OSError."""
        if self._locks is None:
            self._locks = ByteLocks(self._folder / "duty.lock")
        return self._locks.lock(0)

    def _failed(self, what: str, error: Exception) -> None:
        """Rule 3."""
        if self._failing.get(what) != str(error) and not self._is_closed:
            self._works.report(what, error)
        self._failing[what] = str(error)

    def _hour(self) -> int:
        return int(self._works.clock.now() // HOUR)
