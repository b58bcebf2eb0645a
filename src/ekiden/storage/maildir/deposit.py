"""Deposit: one message on its way into a Maildir. Threads, no loop; each method may block on the disk.

The steps, and what a kill or a power cut after each leaves
  1. `tmp/BASE` is made (it must not exist), locked, written, synced     a file in tmp: the next attempt writes it anew
  2. it is linked to `new/BASE,S=…`                                      \\ tmp/BASE exists, so the next attempt looks
  3. `new` is synced                                                     / through new and cur, and finds it
  4. the journal gets its line, synced                                   the next attempt finds the line
  5. `tmp/BASE` is removed                                               the same
So the slow look through the directories is taken only after a crash. One copy more can come of a crash between 2 and
4 if the message is also deleted before the next attempt. The lock on `tmp/BASE` (it ends with the process) keeps two
attempts from writing one file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from ekiden.storage.maildir.crlf import LineEnds
from ekiden.storage.maildir.journal import Journal
from ekiden.storage.maildir.names import Ticket, file_name
from ekiden.storage.maildir.sync import SharedSync


class DeliveryUnderWay(OSError):
    """Another attempt for the same letter and recipient is writing right now."""


class Deposit:
    """`maildir`: the folder with new, cur and tmp, which exist. The journal lies beside it."""

    def __init__(self, maildir: Path, ticket: Ticket, sync: SharedSync) -> None:
        self._new = maildir / "new"
        self._tmp = maildir / "tmp" / ticket.base
        self._ticket = ticket
        self._sync = sync
        self._journal = Journal(maildir.parent)
        self._fd = -1
        self._linked = False
        self._ends = LineEnds()

    @property
    def size_octets(self) -> int:
        return self._ends.size

    def begin(self) -> bool:
        """False: it was delivered before; there is nothing to do. Raises OSError, FileNotFoundError if folders miss."""
        if self._journal.has(self._ticket.key):
            self._tmp.unlink(missing_ok=True)  # a kill may have come between steps 4 and 5
            return False
        while not self._open_new():
            if folder := self._found_in():
                self._sync.sync(folder)
                self._note()
                return False
            # An attempt that died before its link. Its file is not written over: a snapshot may share it.
            self._discard()
        return True

    def write(self, data: bytes) -> None:
        self._ends.feed(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def commit(self) -> None:
        """Durable on return."""
        os.fsync(self._fd)
        name = file_name(self._ticket.base, self._ends.size, self._ends.transmitted)
        # It may exist, of an earlier attempt: the name follows from the letter, so it is the same message.
        with contextlib.suppress(FileExistsError):
            os.link(self._tmp, self._new / name)
        self._linked = True
        self._sync.sync(self._new)
        self._note()

    def close(self) -> None:
        """Idempotent. Without `commit` the file goes away; if a commit failed after its link, it stays as evidence."""
        if self._fd >= 0 and self._linked:
            os.close(self._fd)
            self._fd = -1
        elif self._fd >= 0:
            self._discard()

    def _note(self) -> None:
        self._journal.append(self._ticket.key)
        self._discard()

    def _discard(self) -> None:
        """The name goes while the lock is still held, so nobody else can have taken it over."""
        fd, self._fd = self._fd, -1
        try:
            self._tmp.unlink(missing_ok=True)
        finally:
            os.close(fd)

    def _open_new(self) -> bool:
        """Makes and locks the file. False: there was one; it is locked now, as it was left."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        while True:
            try:
                fd, fresh = os.open(self._tmp, flags | os.O_EXCL, 0o600), True
            except FileExistsError:
                fd, fresh = os.open(self._tmp, flags, 0o600), False
            if self._lock(fd):
                self._fd = fd
                return fresh
            os.close(fd)

    def _lock(self, fd: int) -> bool:
        """False: the file was removed between opening and locking."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(fd).st_nlink > 0
        except BlockingIOError:
            os.close(fd)
            raise DeliveryUnderWay(f"{self._ticket.base} is being delivered by another attempt") from None

    def _found_in(self) -> Path | None:
        """The folder that has the message: new, cur, or one of a Maildir++ sub-folder."""
        maildir = self._new.parent
        subfolders = [maildir / name for name in os.listdir(maildir) if name.startswith(".")]
        for folder in [maildir, *subfolders]:
            for part in (folder / "new", folder / "cur"):
                if part.is_dir() and any(name.startswith(self._ticket.base) for name in os.listdir(part)):
                    return part
        return None
