"""MemorySlots: slots and rates in one process's memory, for tests and tools. Several views share one ledger, as
workers share a machine; `die` ends one as SIGKILL does."""

from __future__ import annotations

from ekiden.ports.clock import Clock
from ekiden.ports.slots import Grant, Slot
from ekiden.storage.rate import rate_of, spend


class MemorySlots:
    def __init__(self, clock: Clock, shared: MemorySlots | None = None) -> None:
        """`shared`: another view; both then take from the same ledger."""
        self._clock = clock
        self._taken: dict[str, dict[int, MemorySlots]] = shared._taken if shared else {}
        self._arrivals: dict[str, float] = shared._arrivals if shared else {}
        self._held: set[Slot] = set()
        self._tickets = 0

    async def take(self, site: str, limit: int) -> Slot | None:
        taken = self._taken.setdefault(site, {})
        if taken and max(taken) >= limit:
            return None
        number = next((number for number in range(limit) if number not in taken), None)
        if number is None:
            return None
        taken[number] = self
        self._tickets += 1
        slot = Slot(site, number, self._tickets)
        self._held.add(slot)
        return slot

    def give(self, slot: Slot) -> None:
        if slot in self._held:
            self._held.remove(slot)
            del self._taken[slot.site][slot.number]

    async def spend(self, rate: str, per_minute: int, wanted: int) -> Grant:
        now = self._clock.monotonic()
        grant, self._arrivals[rate] = spend(self._arrivals.get(rate, 0.0), now, rate_of(per_minute), wanted)
        return grant

    def die(self) -> None:
        for slot in list(self._held):
            self.give(slot)

    def close(self) -> None:
        self.die()
