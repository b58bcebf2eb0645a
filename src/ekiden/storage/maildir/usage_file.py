"""UsageFile: how much a mailbox, or a domain, holds, in a small file that grows by a line a delivery. Threads, no loop.

    1763850000 52428800 1200        when it was counted, octets, messages
    4096 1                          what came since
    -8192 -2                        what was removed

Rules
1. Lines are appended by all workers, without a sync: what a power cut takes is counted anew within a day.
2. Who appends holds a shared lock, who writes it anew an exclusive one; a file that was replaced meanwhile has no name
   any more, and is opened again.
3. There is no file before somebody asked: mailboxes without a quota cost a look.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

#: The file is written anew when it is longer.
MOST_OCTETS: Final = 4096


class Counted(NamedTuple):
    """`when`: it was counted last, in seconds since 1970."""

    when: float
    octets: int
    messages: int


class UsageFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, octets: int, messages: int) -> None:
        """If there is a file. Raises OSError."""
        with self._opened(os.O_WRONLY | os.O_APPEND, fcntl.LOCK_SH) as fd:
            if fd is not None:
                os.write(fd, b"%d %d\n" % (octets, messages))

    def read(self) -> Counted | None:
        """None: there is no file, or nothing that could be one. Raises OSError."""
        with self._opened(os.O_RDONLY, fcntl.LOCK_SH) as fd:
            if fd is None:
                return None
            text = _all(fd)
        counted = _parse(text)
        if counted is not None and len(text) > MOST_OCTETS:
            self._shorten()
        return counted

    def count(self, count: Callable[[], tuple[int, int]], now: float) -> Counted:
        """Writes it anew with what `count` finds; deliveries wait meanwhile. Raises OSError."""
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with self._opened(os.O_RDONLY, fcntl.LOCK_EX) as fd:
            counted = Counted(now, *count())
            if fd is not None:
                self._write(counted)
            return counted

    def _shorten(self) -> None:
        with self._opened(os.O_RDONLY, fcntl.LOCK_EX) as fd:
            counted = _parse(_all(fd)) if fd is not None else None
            if counted is not None:
                self._write(counted)

    def _write(self, counted: Counted) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        fresh.write_bytes(b"%d %d %d\n" % (int(counted.when), counted.octets, counted.messages))
        fresh.chmod(0o600)
        fresh.rename(self._path)

    @contextlib.contextmanager
    def _opened(self, flags: int, lock: int) -> Iterator[int | None]:
        while True:
            try:
                fd = os.open(self._path, flags | os.O_CLOEXEC)
            except FileNotFoundError:
                yield None
                return
            try:
                fcntl.flock(fd, lock)
                if os.fstat(fd).st_nlink:
                    yield fd
                    return
            finally:
                os.close(fd)


def _all(fd: int) -> bytes:
    pieces = []
    while piece := os.read(fd, 65_536):
        pieces.append(piece)
    return b"".join(pieces)


def _parse(text: bytes) -> Counted | None:
    lines = text.split(b"\n")
    try:
        when, octets, messages = map(int, lines[0].split())
        for line in lines[1:-1]:
            more, several = map(int, line.split())
            octets += more
            messages += several
    except ValueError:
        return None
    return Counted(when, max(octets, 0), max(messages, 0))
