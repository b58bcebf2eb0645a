"""SharedSync: fsync of directories, one for all who wait. Threads, no loop.

A delivery is durable when the directory that got its name is synced. Deliveries into one mailbox that come together
share one sync: who asks while a sync runs needs the next one (the running one may have begun before the link), and all
of those who wait for it are served by one.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


class _Turns:
    __slots__ = ("done", "mutex", "started", "turn", "users")

    def __init__(self) -> None:
        self.mutex = threading.Lock()  # guards the numbers
        self.turn = threading.Lock()  # one sync at a time
        self.started = 0
        self.done = 0
        self.users = 0


class SharedSync:
    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._turns: dict[Path, _Turns] = {}
        self.syncs = 0  # how many fsyncs were made; for tests

    def sync(self, directory: Path) -> None:
        """Returns when a sync of `directory` that began after this call has succeeded. Raises OSError."""
        turns = self._enter(directory)
        try:
            with turns.mutex:
                wanted = turns.started + 1
            with turns.turn:
                if turns.done >= wanted:
                    return
                with turns.mutex:
                    turns.started += 1
                    mine = turns.started
                self.syncs += 1
                sync_directory(directory)
                turns.done = mine
        finally:
            self._leave(directory, turns)

    def waiting(self, directory: Path) -> int:
        """How many calls for it are under way; for tests."""
        with self._mutex:
            turns = self._turns.get(directory)
            return turns.users if turns is not None else 0

    def _enter(self, directory: Path) -> _Turns:
        with self._mutex:
            turns = self._turns.get(directory)
            if turns is None:
                turns = self._turns[directory] = _Turns()
            turns.users += 1
            return turns

    def _leave(self, directory: Path, turns: _Turns) -> None:
        with self._mutex:
            turns.users -= 1
            if not turns.users:
                del self._turns[directory]


def sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directories(path: Path, within: Path) -> None:
    """mkdir -p with mode 0700, from `within` (which is made too) down; each name durable, also one that another process
    made a moment ago and has not synced yet."""
    if path != within:
        make_directories(path.parent, within)
    elif not path.parent.is_dir():
        make_directories(path.parent, path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    sync_directory(path.parent)
