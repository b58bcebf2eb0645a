"""RoadFile: what is known of the road to port 25, in a small JSON file that people can read, too.

Rules
1. Written beside and renamed, both synced: readers find the old one or the new one, after a power cut as well.
2. Read anew only when it is another file: a worker that looks once a second pays for one `stat`.
3. A file that cannot be read says nothing; that is found out anew. One that cannot be written counts in this process.

Contract: `ports.road_memory.RoadMemory`. Made by `app.stores`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from ekiden.model.road_block import RoadState

#: More than this is none of ours.
_MOST_OCTETS: Final = 64 * 1024

_Mark = tuple[int, int, int]


class RoadFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = RoadState()
        self._mark: _Mark | None = None

    def read(self) -> RoadState:
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            self._state = self._load() if mark is not None else RoadState()
        return self._state

    async def write(self, state: RoadState) -> None:
        self._state = state
        with contextlib.suppress(OSError, RuntimeError):  # rule 3; RuntimeError: the loop is ending
            await asyncio.get_running_loop().run_in_executor(None, self._store, msgspec.json.encode(state))
            self._mark = self._look()

    def _look(self) -> _Mark | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self) -> RoadState:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_OCTETS), type=RoadState)
        except (OSError, msgspec.MsgspecError):
            return RoadState()

    def _store(self, octets: bytes) -> None:
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
