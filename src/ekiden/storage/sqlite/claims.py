"""Incarnations: who may hold claims, and how one knows that it is dead (DESIGN §5).

Rules
1. An incarnation is one process's life with the spool: a row that gives it a number never used again, and a lock file
   whose flock it holds as long as it lives. The kernel lets go of it, however the process ends.
2. Alive = the lock is held. There is no expiry time, so jumps of the wall clock change nothing.
3. The lock is held before the row can be seen by anybody.
4. Asking is done with a shared lock, so that two who ask at once do not take each other for the holder.
5. Ten bits of the number are part of every id (`model.ids`): a number whose bits a living one uses is passed over.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import apsw

from ekiden.model.ids import Incarnation

NODE_MASK: Final = 0x3FF


class Incarnations:
    """The lock files of one spool's folder. Its methods do I/O; call them off the loop, or at start and end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def register(self, connection: apsw.Connection, now: float) -> tuple[Incarnation, int]:
        """Within an open transaction that the caller commits. Gives the number and the descriptor of its lock."""
        taken = {number & NODE_MASK for number in self.living(connection)}
        while True:
            connection.execute("INSERT INTO incarnation (started, pid) VALUES (?, ?)", (now, os.getpid()))
            number = connection.last_insert_rowid()
            if number & NODE_MASK not in taken:
                break
            connection.execute("DELETE FROM incarnation WHERE number = ?", (number,))
        descriptor = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Incarnation(number), descriptor

    def living(self, connection: apsw.Connection) -> set[Incarnation]:
        return {number for number in self.registered(connection) if self.is_alive(number)}

    def registered(self, connection: apsw.Connection) -> set[Incarnation]:
        return {Incarnation(number) for (number,) in connection.execute("SELECT number FROM incarnation")}

    def is_alive(self, number: int) -> bool:
        try:
            descriptor = os.open(self._path(number), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def forget(self, number: int) -> None:
        """After its row is gone. Idempotent."""
        self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.lock"
