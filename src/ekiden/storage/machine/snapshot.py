"""Snapshots: what the workers of a machine have counted, on disk every ten seconds.

Rules
1. One worker does it, whichever has the lock; if it dies the next one does. In a thread of its own, page by page, only
   what has changed: nobody who counts waits for it.
2. Nothing is synced: a guard's memory is not worth a letter's time on the disk. A server that is killed loses ten
   seconds, a machine that loses its power perhaps half a minute; what was half written is forgotten or counts anew.
3. A disk that is full or broken ends nothing but the snapshot; the next one tries again.
4. Time goes on while nobody counts, as far as the wall clock tells: what is over is not read back.
5. The file has the key of names in it, not that of items; it is the service user's alone.

Owned by `tally`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.table import LOADING, SNAPSHOT, is_over
from ekiden.storage.machine.tally_memory import LEVELS, PAGE, SECRET, TABLE_OCTETS, TallyMemory

#: DESIGN §5.
SECONDS: Final = 10.0
#: Pages written at once, and unchanged ones between changed ones that are written with them rather than apart.
RUN: Final = 64
GAP: Final = 2
#: The wall clock is believed to have gone on for so long at most, in seconds: a year.
_LONGEST: Final = 366 * 86400.0
#: Magic, the levels, the key of names, tally's time and the wall clock's.
_HEAD: Final = struct.Struct(f"=8s{len(LEVELS)}I{SECRET}sdd")
_MAGIC: Final = b"EKTALLY1"


class Snapshots:
    def __init__(
        self,
        path: Path,
        memory: TallyMemory,
        locks: ByteLocks,
        now: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._memory = memory
        self._locks = locks
        self._now = now
        self._wall = wall
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Once a server: rule 2 of `tally`. Raises OSError if the lock cannot be had."""
        while not self._memory.ready:
            if not self._locks.lock(LOADING):
                time.sleep(0.01)  # another worker is at it
                continue
            try:
                if not self._memory.ready:
                    self._load()
            finally:
                self._locks.unlock(LOADING)

    def start(self) -> None:
        """Takes snapshots from now on, in a thread."""
        self._thread = threading.Thread(target=self._work, name="tally", daemon=True)
        self._thread.start()

    def save(self) -> int:
        """Writes what has changed, if it is ours to do; how many pages. Raises OSError."""
        if not self._locks.lock(SNAPSHOT):  # kept until we close: rule 1
            return 0
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            written = 0
            for first, last in self._changed():
                self._write(file, first, last)
                written += last - first
            os.pwrite(file, self._head(), 0)
        finally:
            os.close(file)
        return written

    def close(self) -> None:
        """A last one."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(OSError):
            self.save()

    # ---- within

    def _work(self) -> None:
        while not self._stop.wait(SECONDS):
            with contextlib.suppress(OSError):  # rule 3
                self.save()

    def _write(self, file: int, first: int, last: int) -> None:
        octets = self._memory.table[first * PAGE : last * PAGE]
        try:
            complete = os.pwrite(file, octets, (1 + first) * PAGE) == len(octets)
        except OSError:
            complete = False
        if not complete:
            self._memory.dirty[first:last] = b"\1" * (last - first)
            raise OSError("the disk took no snapshot")

    def _changed(self) -> Iterator[tuple[int, int]]:
        """Runs of pages, marked as written before they are read, so that a later change is written later."""
        dirty = self._memory.dirty
        first = dirty.find(b"\1")
        while first >= 0:
            last = first + 1
            while last - first < RUN and (more := dirty.find(b"\1", last, last + 1 + GAP)) >= 0:
                last = more + 1
            dirty[first:last] = bytes(last - first)
            yield first, last
            first = dirty.find(b"\1", last)

    def _head(self) -> bytes:
        now = self._now() + self._memory.offset
        return _HEAD.pack(_MAGIC, *LEVELS, self._memory.name_secret, now, self._wall())

    def _load(self) -> None:
        memory = self._memory
        uptime = self._now()
        try:
            with self._path.open("rb") as file:
                magic, *levels, secret, time_then, wall_then = _HEAD.unpack(file.read(_HEAD.size))
                if magic != _MAGIC or tuple(levels) != LEVELS or not 0 <= time_then < 2**32:
                    raise ValueError("not one of ours")
                now = time_then + min(max(self._wall() - wall_then, 0.0), _LONGEST)
                self._read(file.fileno(), now)
        except (OSError, ValueError, struct.error):  # none, or of another version
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            memory.begin(max(self._wall(), 0.0) - uptime)
            return
        memory.begin(now - uptime, secret)

    def _read(self, file: int, now: float) -> None:
        """Page by page, so that what means nothing takes no memory."""
        nothing = bytes(PAGE)
        for start in range(0, TABLE_OCTETS, RUN * PAGE):
            octets = os.pread(file, RUN * PAGE, PAGE + start)
            if not octets:
                break
            for at in range(0, len(octets), PAGE):
                page = octets[at : at + PAGE]
                if len(page) == PAGE and page != nothing and not is_over(page, now):
                    self._memory.table[start + at : start + at + PAGE] = page
