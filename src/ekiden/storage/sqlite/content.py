"""Content on disk, and drafts: small ones in memory, large ones as files that grow while they are received.

Rules
1. A draft spills into a file of its own past 64 KiB; the file and its directory are synced, in a thread, before the
   letter is committed; it is removed after the commit that deletes the letter.
2. What a crash leaves over (no letter knows it, no living incarnation writes it) is swept at start.
3. A write goes to the page cache and does not wait for the disk; every few MiB `drain` does, so that one large letter
   can not fill the page cache and stop everybody at its end.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Final

from ekiden.model.ids import LetterId, parse_id, render_id
from ekiden.ports.spool import SpoolFailed
from ekiden.storage.duty import CHUNK_OCTETS, SMALL_OCTETS
from ekiden.storage.sqlite.claims import NODE_MASK
from ekiden.storage.sqlite.connection import sync_directory

#: What a draft may have in the page cache before `drain` waits for the disk.
UNSYNCED_OCTETS: Final = 4 * 1024 * 1024
#: Read at once; given out in pieces of CHUNK_OCTETS. One hop to a thread a MiB.
READ_OCTETS: Final = 1024 * 1024
#: Sub-folders, so that a directory stays small with a backlog of many large letters.
FOLDERS: Final = 256


def failed(error: OSError) -> SpoolFailed:
    return SpoolFailed(f"content: {error.strerror}", full=error.errno in (errno.ENOSPC, errno.EDQUOT))


class ContentFiles:
    """The folder of content files: `content/3f/<letter id>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Makes the folders. For those who write."""
        folder = self._folder
        folder.mkdir(mode=0o700, exist_ok=True)
        missing = [name for name in (f"{n:02x}" for n in range(FOLDERS)) if not (folder / name).is_dir()]
        for name in missing:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        if missing:
            sync_directory(folder)
            sync_directory(folder.parent)

    def path(self, letter: LetterId) -> Path:
        return self._folder / f"{letter >> 22 & FOLDERS - 1:02x}" / render_id(letter)

    def remove(self, letter: LetterId) -> None:
        self.path(letter).unlink(missing_ok=True)

    def sweep(self, living: Callable[[], Collection[int]], is_known: Callable[[LetterId], bool]) -> int:
        """Removes orphans; how many. `living` is asked after the folder was listed: who starts later writes only
        files that are not in that list."""
        found = [path for folder in sorted(self._folder.iterdir()) if folder.is_dir() for path in folder.iterdir()]
        nodes = {number & NODE_MASK for number in living()}
        swept = 0
        for path in found:
            try:
                letter = LetterId(parse_id(path.name))
            except ValueError:
                continue  # not ours: left alone
            if letter >> 12 & NODE_MASK not in nodes and not is_known(letter):
                path.unlink(missing_ok=True)
                swept += 1
        return swept


class FileContent:
    """`ports.spool.Content` of a letter with a file."""

    __slots__ = ("_path", "_pool", "_size")

    def __init__(self, path: Path, size_octets: int, pool: Executor) -> None:
        self._path = path
        self._size = size_octets
        self._pool = pool

    @property
    def size_octets(self) -> int:
        return self._size

    @property
    def octets(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        loop, position = asyncio.get_running_loop(), 0
        while position < self._size:
            piece = await loop.run_in_executor(self._pool, self._read, position, READ_OCTETS)
            if not piece:
                raise SpoolFailed(f"content: {self._path.name} ends after {position} of {self._size} octets")
            position += len(piece)
            for start in range(0, len(piece), CHUNK_OCTETS):
                yield piece[start : start + CHUNK_OCTETS]

    async def head(self, limit: int) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, 0, limit)

    def _read(self, position: int, octets: int) -> bytes:
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(position)
                return file.read(octets) or b""
        except OSError as error:
            raise failed(error) from error


class SpoolDraft:
    """`ports.spool.Draft`. Used on the loop's thread; `sync` runs in the pool."""

    __slots__ = (
        "_broken",
        "_closed",
        "_descriptor",
        "_files",
        "_letter",
        "_pieces",
        "_pool",
        "_size",
        "_unsynced",
        "is_file",
    )

    def __init__(self, letter: LetterId, files: ContentFiles, pool: Executor) -> None:
        self._letter = letter
        self._files = files
        self._pool = pool
        self._pieces: list[bytes] = []
        self._size = 0
        self._descriptor = -1
        self._unsynced = 0
        self._broken: SpoolFailed | None = None
        self._closed = False
        self.is_file = False

    @property
    def letter(self) -> LetterId:
        return self._letter

    @property
    def size_octets(self) -> int:
        return self._size

    @property
    def usable(self) -> bool:
        return not self._closed

    def octets(self) -> bytes:
        """All of a draft that is no file."""
        return b"".join(self._pieces)

    def write(self, data: bytes) -> None:
        if self._broken:
            raise self._broken
        self._size += len(data)
        if self.is_file:
            self._put(data)
            return
        self._pieces.append(data if type(data) is bytes else bytes(data))
        if self._size > SMALL_OCTETS:
            self._spill()

    def overwrite(self, position: int, data: bytes) -> None:
        if self._broken:
            raise self._broken
        if self.is_file:
            self._put(data, position)
            return
        octets = self.octets()
        self._pieces = [octets[:position], data, octets[position + len(data) :]]

    def drain(self) -> Awaitable[None] | None:
        if self._unsynced < UNSYNCED_OCTETS:
            return None
        self._unsynced = 0
        return asyncio.get_running_loop().run_in_executor(self._pool, self._settle)

    def discard(self) -> None:
        if not self._closed:
            self.take()
            self.end(keep=False)

    def take(self) -> None:
        """`accept` has it from now on: `discard` does nothing any more, however long the commit takes."""
        self._closed = True
        self._pieces.clear()

    def end(self, *, keep: bool) -> None:
        """After `take`. `keep`: the spool has it, or may have it, so the file stays."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        if self.is_file and not keep:
            self._pool.submit(self._remove)

    def sync(self) -> None:
        """In the pool, after the last write: file and directory survive a power cut. Raises SpoolFailed."""
        try:
            os.fsync(self._descriptor)
            sync_directory(self._files.path(self._letter).parent)
        except OSError as error:
            raise failed(error) from error
        if self._broken:
            raise self._broken

    def _spill(self) -> None:
        pieces, self._pieces = self._pieces, []
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._files.path(self._letter), flags, 0o600)
            self.is_file = True
        except OSError as error:
            self._broken = failed(error)
            raise self._broken from error
        self._put(b"".join(pieces))

    def _put(self, data: bytes, position: int | None = None) -> None:
        """At the end, or over what stands at `position`."""
        self._unsynced += len(data)
        view = memoryview(data)
        try:
            while view:
                if position is None:
                    written = os.write(self._descriptor, view)
                else:
                    written = os.pwrite(self._descriptor, view, position)
                    position += written
                view = view[written:]
        except OSError as error:
            self._broken = failed(error)
            raise self._broken from error

    def _settle(self) -> None:
        """An error of fdatasync is told once, then the kernel forgets it: so it is kept here."""
        descriptor = self._descriptor
        if descriptor < 0:
            return  # discarded meanwhile
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._broken = failed(error)
            raise self._broken from error

    def _remove(self) -> None:
        with suppress(OSError):  # what stays is swept at the next start
            self._files.remove(self._letter)
