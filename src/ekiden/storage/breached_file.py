"""BreachedFile: a postmaster's list of breached passwords, in one of two forms, never loaded whole.

1. One password a line, in any order: read through from the start. Made for up to some hundred megabytes.
2. SHA-1 digests in hexadecimal, each with or without `:COUNT`, ascending (the Pwned Passwords download, 40 GB and
   more): found by halving, in some forty reads.

The first line says which form it is. Digests in another order are refused, because halving would miss them.
Called by the commands that set passwords, through `app.stores`. Implements `ports.breached.BreachedPasswords`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import BinaryIO, Final

from ekiden.ports.breached import BreachedFailed

_DIGEST: Final = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?")
#: Longer lines are no digests, and no passwords that anybody had.
_LINE: Final = 4096
#: Places of the file that are looked at for the order.
_SAMPLES: Final = 64


class BreachedFile:
    """`path`: read anew at each question; it may be replaced meanwhile."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    async def holds(self, password: str) -> bool:
        """Raises BreachedFailed. In a thread: a list may be long, and a disk slow."""
        return await asyncio.to_thread(self._holds, password)

    def _holds(self, password: str) -> bool:
        octets = password.encode("utf-8", "surrogatepass")
        try:
            with self._path.open("rb") as file:
                first = _line(file)
                if not _DIGEST.fullmatch(first):
                    file.seek(0)
                    return any(line.rstrip(b"\r\n") == octets for line in file)
                size = file.seek(0, 2)
                self._check_order(file, size)
                # the list's digests are those of SHA-1; nothing is protected by it here
                return _found(file, size, hashlib.sha1(octets, usedforsecurity=False).hexdigest().upper().encode())
        except OSError as error:
            raise BreachedFailed(f"[passwords] breached_file: {self._path}: {error.strerror}") from error

    def _check_order(self, file: BinaryIO, size: int) -> None:
        seen = [_digest_after(file, size * place // _SAMPLES) for place in range(_SAMPLES)]
        digests = [digest for digest in seen if digest]
        if digests != sorted(digests):
            raise BreachedFailed(
                f"[passwords] breached_file: {self._path}: its digests are not in ascending order; take the list "
                "that is ordered by hash, or sort it"
            )


def _found(file: BinaryIO, size: int, wanted: bytes) -> bool:
    """Halving over octets: `low` stands before the first line that may be it, `high` behind the last."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        digest = _digest_after(file, middle)
        if digest == wanted:
            return True
        if not digest or digest > wanted:
            high = middle
        else:
            low = middle + 1
    return _digest_after(file, low) == wanted


def _digest_after(file: BinaryIO, offset: int) -> bytes:
    """Of the first whole line that starts at `offset` or behind it; b'' at the end."""
    file.seek(max(offset - 1, 0))
    if offset:
        file.readline(_LINE)
    return _line(file).partition(b":")[0].upper()


def _line(file: BinaryIO) -> bytes:
    return file.readline(_LINE).rstrip(b"\r\n")
