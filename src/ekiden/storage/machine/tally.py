"""MachineTally: the port `Tally` for all workers of one machine, in memory that they share (ADR 8).

Rules
1. The memory is made by the supervisor before it forks (`TallyMemory`), and lives as long as the server: a worker that
   dies takes no count with it, and there is no other process that could die or stand still.
2. The first worker reads the last snapshot, before any door is open (`snapshot`). Without one counting begins anew.
3. Time is the machine's uptime (suspended time included), moved so that it goes on from the snapshot's.
4. No call waits for another (`table`, rule 3).

Opened by `app.stores`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from ekiden.ports.tally import MOST_DISTINCT
from ekiden.storage import window as windows
from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.presence import Presence
from ekiden.storage.machine.rates import boot_time
from ekiden.storage.machine.snapshot import Snapshots
from ekiden.storage.machine.table import KEY, NUMBERS, Numbers, Table
from ekiden.storage.machine.tally_memory import TallyMemory

LOCK_FILE: Final = "tally.lock"
SNAPSHOT_FILE: Final = "tally"
#: The largest second that a record can have.
_FURTHEST: Final = 2**32 - 2
_PLACE: Final = struct.Struct("=8xQ")


class _Key(NamedTuple):
    """`octets`: of the record; `place`: for the buckets."""

    octets: bytes
    place: int


class MachineTally:
    def __init__(self, folder: Path, memory: TallyMemory, worker: int, now: Callable[[], float] = boot_time) -> None:
        """After the fork. Makes `folder` if need be. `now`: seconds that all workers share. Raises OSError."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._memory = memory
        self._locks = ByteLocks(folder / LOCK_FILE)
        self._table = Table(memory.table, memory.dirty, self._locks)
        self._uptime = now
        self.snapshots = Snapshots(folder / SNAPSHOT_FILE, memory, self._locks, now)
        self.snapshots.load()
        self._offset = memory.offset
        self._names = blake2b(key=memory.name_secret, digest_size=16)
        self._items = blake2b(key=memory.item_secret, digest_size=16)
        memory.free(worker)
        self._presence = Presence(memory, worker)

    # ---- counts

    def add(self, name: str, window: float, amount: int = 1) -> int:
        return self._add(self._key(name), self._now(), window, amount)

    def add_distinct(self, name: str, item: bytes, window: float) -> int:
        key, now = self._key(name), self._now()
        count = windows.count(self._table.read(*key, now) or windows.EMPTY, now, window)
        if count < MOST_DISTINCT and self._remember(self._item(name, item), now, windows.lasts(window)) is not None:
            return count
        return self._add(key, now, window, 1)

    def count(self, name: str, window: float) -> int:
        now = self._now()
        return windows.count(self._table.read(*self._key(name), now) or windows.EMPTY, now, window)

    def wait(self, name: str, window: float, most: int) -> float:
        now = self._now()
        return windows.wait(self._table.read(*self._key(name), now) or windows.EMPTY, now, window, most)

    def _add(self, key: _Key, now: float, window: float, amount: int) -> int:
        table = self._table
        locked = table.lock(key.place)
        try:
            state = windows.add(table.read(*key, now) or windows.EMPTY, now, window, amount)
            table.write(*key, now, _second(now + windows.lasts(window)), state)
        finally:
            if locked:
                table.unlock(key.place)
        return windows.count(state, now, window)

    # ---- memories

    def remember(self, name: str, seconds: float) -> float | None:
        return self._remember(self._key(name), self._now(), seconds)

    def recall(self, name: str) -> float | None:
        now = self._now()
        numbers = self._table.read(*self._key(name), now)
        return None if numbers is None else _age(numbers, now)

    def forget(self, name: str) -> None:
        key = self._key(name)
        locked = self._table.lock(key.place)
        try:
            self._table.erase(*key)
        finally:
            if locked:
                self._table.unlock(key.place)

    def _remember(self, key: _Key, now: float, seconds: float) -> float | None:
        table = self._table
        locked = table.lock(key.place)
        try:
            numbers = table.read(*key, now)
            until = max(_second(now + seconds), table.until(*key) if numbers is not None else 0)
            table.write(*key, now, until, numbers or _first(now))
        finally:
            if locked:
                table.unlock(key.place)
        return None if numbers is None else _age(numbers, now)

    # ---- presence

    def enter(self, name: str) -> int:
        return self._presence.enter(self._digest(name.encode("utf-8", "surrogatepass")))

    def leave(self, name: str) -> None:
        self._presence.leave(self._digest(name.encode("utf-8", "surrogatepass")))

    def inside(self, name: str) -> int:
        return self._presence.inside(self._digest(name.encode("utf-8", "surrogatepass")))

    # ---- within

    def start(self) -> None:
        """Snapshots from now on, in a thread."""
        self.snapshots.start()

    def close(self) -> None:
        """A last snapshot, if nobody else is at it. Idempotent."""
        if self._locks.descriptor >= 0:
            self.snapshots.close()
        self._locks.close()

    def _now(self) -> float:
        return self._uptime() + self._offset

    def _digest(self, name: bytes) -> bytes:
        digest = self._names.copy()
        digest.update(name)
        return digest.digest()

    def _key(self, name: str) -> _Key:
        return _render(self._digest(name.encode("utf-8", "surrogatepass")))

    def _item(self, name: str, item: bytes) -> _Key:
        """Under both keys: the first finds what belongs to the name, the second never leaves memory."""
        digest = self._items.copy()
        digest.update(self._digest(name.encode("utf-8", "surrogatepass")) + item)
        return _render(digest.digest())


def _render(digest: bytes) -> _Key:
    return _Key(digest[:KEY], _PLACE.unpack(digest)[0])


def _second(time: float) -> int:
    return min(int(time) + 1, _FURTHEST)


def _first(now: float) -> Numbers:
    """Milliseconds in two numbers."""
    whole = int(now)
    return (whole, int((now - whole) * 1000), *(0,) * (NUMBERS - 2))


def _age(numbers: Numbers, now: float) -> float:
    return max(now - numbers[0] - numbers[1] / 1000, 0.0)
