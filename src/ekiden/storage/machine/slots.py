"""MachineSlots: the port `Slots` for all processes of one machine that share a folder.

A slot is a lock on one byte of a file (`locks`), whose place is computed from the site's name and the slot's number: no
row, no server, no expiry, and free the moment its holder dies. Exact by construction: a byte has one holder.

Rules
1. A site's bytes begin at a 48-bit hash of its name. Two sites that met there would share a budget, never exceed one;
   among 100,000 sites the chance of any such pair is one in 50,000.
2. A folder of its own that nobody else writes to, on a file system of this machine. Opened after the fork.
3. No call waits: microseconds, on the loop.

Opened by `app.stores`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ekiden.ports.slots import MOST_SLOTS, Grant, Slot, SlotsFailed
from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.rates import Rates, boot_time

SLOTS_FILE: Final = "slots.lock"
RATES_FILE: Final = "rates"
_HASH_OCTETS: Final = 6
#: Bytes a site has; 48 + 14 bits are the largest offset that a lock can have.
_SITE_BYTES: Final = 1 << 14
assert MOST_SLOTS <= _SITE_BYTES


class MachineSlots:
    def __init__(self, folder: Path, now: Callable[[], float] = boot_time) -> None:
        """Makes `folder` if need be. `now`: seconds that all processes of the machine share. Raises OSError."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._locks = ByteLocks(folder / SLOTS_FILE)
        self._rates = Rates(folder / RATES_FILE, now)
        self._held: dict[str, dict[int, Slot]] = {}
        self._tickets = 0

    async def take(self, site: str, limit: int) -> Slot | None:
        if not 1 <= limit <= MOST_SLOTS:
            raise ValueError(f"a limit of {limit} is not between 1 and {MOST_SLOTS}")
        mine = self._held.get(site, {})
        try:
            number = self._lock_one(_offset(site), limit, mine)
        except OSError as error:
            raise SlotsFailed(f"the slots of {site}: {error.strerror or error}") from error
        if number is None:
            return None
        self._tickets += 1
        slot = Slot(site, number, self._tickets)
        self._held.setdefault(site, mine)[number] = slot
        return slot

    def _lock_one(self, offset: int, limit: int, mine: dict[int, Slot]) -> int | None:
        locks = self._locks
        if any(number >= limit for number in mine) or locks.held_by_others(offset + limit, offset + _SITE_BYTES):
            return None  # the limit was lowered
        number = 0
        while number < limit:
            if number in mine:
                number += 1
            elif locks.lock(offset + number):
                return number
            elif run := locks.held_by_others(offset + number, offset + number + 1):
                number = run[1] - offset  # else it was freed just now
        return None

    def give(self, slot: Slot) -> None:
        mine = self._held.get(slot.site)
        if mine is None or mine.get(slot.number) != slot:
            return
        del mine[slot.number]
        if not mine:
            del self._held[slot.site]
        with contextlib.suppress(OSError):  # no memory to part two locks side by side: ours until we take it again
            self._locks.unlock(_offset(slot.site) + slot.number)

    async def spend(self, rate: str, per_minute: int, wanted: int) -> Grant:
        try:
            return self._rates.spend(rate, per_minute, wanted)
        except OSError as error:
            raise SlotsFailed(f"the rate of {rate}: {error.strerror or error}") from error

    def close(self) -> None:
        """Gives everything back."""
        self._held.clear()
        self._locks.close()
        self._rates.close()


def _offset(site: str) -> int:
    digest = blake2b(site.encode("utf-8", "surrogatepass"), digest_size=_HASH_OCTETS).digest()
    return int.from_bytes(digest, "big") * _SITE_BYTES
