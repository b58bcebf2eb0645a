"""Where log lines go: a file that several processes append to, or standard output.

Rules
1. Writing never raises: what cannot be written is lost and counted (a full disk, a closed pipe), and the next line
   begins on a line of its own.
2. A file is opened for appending, so that lines of several processes never overwrite each other; into a pipe goes at
   most `PIPE_BUF` at once, so that they never mix (POSIX write()).
3. `reopen` after a rotation: if the new file cannot be opened, the old one goes on being written.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from typing import Final

STANDARD_OUTPUT: Final = "-"
_MODE: Final = 0o640


class Output:
    """`path` "-": standard output. Raises OSError if a file cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = 1 if path == STANDARD_OUTPUT else _open(path)
        self._in_one_go = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._torn = False

    def write(self, lines: Sequence[bytes]) -> tuple[int, str]:
        """How many of `lines` were lost, and why ('')."""
        if self._in_one_go:
            return self._put(b"".join(lines), len(lines))
        lost, reason = 0, ""
        for chunk, count in _chunks(lines):
            missing, why = self._put(chunk, count)
            lost += missing
            reason = why or reason
        return lost, reason

    def reopen(self, path: str = "") -> str:
        """`path`: a new one, if it has changed. What went wrong, or ''."""
        path = path or self._path
        try:
            fresh = 1 if path == STANDARD_OUTPUT else _open(path)
        except OSError as error:
            return f"{path} cannot be opened again: {error.strerror}; the old file goes on"
        self.close()
        self._fd, self._path, self._torn = fresh, path, False
        self._in_one_go = stat.S_ISREG(os.fstat(fresh).st_mode)
        return ""

    def close(self) -> None:
        if self._path != STANDARD_OUTPUT:
            os.close(self._fd)

    def _put(self, octets: bytes, count: int) -> tuple[int, str]:
        if self._torn:
            octets = b"\n" + octets
        view, done = memoryview(octets), 0
        while done < len(view):
            try:
                done += os.write(self._fd, view[done:])
            except BlockingIOError:  # a terminal or pipe that somebody made non-blocking
                select.select([], [self._fd], [], 1.0)
            except OSError as error:
                if done:
                    self._torn = octets[done - 1 : done] != b"\n"
                return min(count, octets.count(b"\n", done)), error.strerror or str(error)
        self._torn = False
        return 0, ""


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)


def _chunks(lines: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Whole lines, together at most PIPE_BUF octets (a longer line stands alone)."""
    chunks: list[tuple[bytes, int]] = []
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > select.PIPE_BUF:
            chunks.append((b"".join(part), len(part)))
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        chunks.append((b"".join(part), len(part)))
    return chunks
