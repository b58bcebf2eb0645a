"""FileBoard: what workers say each second, for `ekiden watch`: a small file a worker, `watch/live-N`.

Rules
1. Written in place, once a second, never synced: about 50 µs. A reader may come in the middle of it: the checksum
   tells, and it reads again.
2. A worker that ends takes its file with it; of one that was killed, or stands still, nothing is told after
   `LASTS_SECONDS` (CLOCK_BOOTTIME, so that a wall clock that jumps means nothing).
3. Nothing depends on it. Who cannot write it goes without.

    checksum (4 octets), length (4), boot time of writing (8), then the row as JSON

Contract: `ports.counts.LiveBoard`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Final

import msgspec

from ekiden.ports.counts import LiveRow

LASTS_SECONDS: Final = 5.0
#: Larger rows are not written; one has some hundred keys at most.
MOST_OCTETS: Final = 1 << 18
_HEAD: Final = struct.Struct("=IId")
_TRIES: Final = 5
_PREFIX: Final = "live-"

_decoder: Final = msgspec.json.Decoder(LiveRow)


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class BoardWriter:
    """Of one worker. Raises OSError where the file cannot be made."""

    def __init__(self, folder: Path, worker: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / f"{_PREFIX}{worker}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        self._encoder = msgspec.json.Encoder()

    def write(self, row: LiveRow) -> None:
        """Raises OSError."""
        octets = self._encoder.encode(row)
        if len(octets) > MOST_OCTETS:
            return
        tail = struct.pack("=Id", len(octets), _boot_time()) + octets
        os.pwrite(self._descriptor, struct.pack("=I", zlib.crc32(tail)) + tail, 0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


class FileBoard:
    """For readers; writes nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self) -> list[LiveRow]:
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith(_PREFIX) and (row := _read(self._folder / name)) is not None:
                    found.append(row)
        return sorted(found, key=lambda row: row.worker)


def _read(path: Path) -> LiveRow | None:
    for _ in range(_TRIES):
        try:
            octets = path.read_bytes()
        except OSError:
            return None
        if len(octets) < _HEAD.size:
            continue
        checksum, length, written = _HEAD.unpack_from(octets)
        body = octets[_HEAD.size : _HEAD.size + length]
        if checksum != zlib.crc32(octets[4 : _HEAD.size] + body):
            continue
        if not 0 <= _boot_time() - written <= LASTS_SECONDS:
            return None
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError:
            return None  # another version's
    return None
