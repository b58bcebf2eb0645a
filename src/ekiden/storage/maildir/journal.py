"""Journal: which letters a mailbox has got lately, so that a repeated delivery makes no second copy. Threads, no loop.

A file of fixed lines (`LETTER-RECIPIENT`) beside the Maildir, synced with each delivery. Past `MAX_OCTETS` it becomes
`delivered.old`, in place of the one before: 2,100 to 4,200 deliveries are remembered. It has to bridge only the time
from a delivery to the record of its outcome, milliseconds to the restart after a crash.

Why a journal, and not a look into the Maildir alone: the message may have been fetched and deleted meanwhile, and a
look through `cur` of a large mailbox at each delivery would cost more than the delivery.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from ekiden.storage.maildir.sync import sync_directory

MAX_OCTETS: Final = 64 * 1024


class Journal:
    def __init__(self, mailbox: Path) -> None:
        self._mailbox = mailbox
        self._path = mailbox / "delivered"
        self._old = mailbox / "delivered.old"

    def has(self, key: str) -> bool:
        line = key.encode() + b"\n"
        return line in _octets(self._path) or line in _octets(self._old)

    def append(self, key: str) -> None:
        """Durable on return. Raises OSError."""
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            os.write(fd, key.encode() + b"\n")
            os.fdatasync(fd)
            if not size:
                sync_directory(self._mailbox)
            elif size > MAX_OCTETS:
                self._turn_over(fd)
        finally:
            os.close(fd)

    def _turn_over(self, fd: int) -> None:
        """One of those who see the file grow too long renames it; a second rename would throw the first away."""
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            current = self._path.stat().st_ino
        except FileNotFoundError:
            return
        if current == os.fstat(fd).st_ino:
            self._path.rename(self._old)
            sync_directory(self._mailbox)


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
