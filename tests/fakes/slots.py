"""FakeSlots: `ports.slots.Slots` in memory; `FakeBell`: `ports.wakeup.Wakeup` between the workers of one test.

first = FakeSlots(clock)
second = FakeSlots(clock, shared=first)     # another worker: the same budgets
first.failing = True                        # take and spend raise SlotsFailed
first.die()                                 # SIGKILL: its slots are free

bells = FakeBell.peers(2)                   # what one rings, the others hear at once
"""

from __future__ import annotations

from ekiden.ports.slots import SlotsFailed
from ekiden.storage.memory.slots import MemorySlots


class FakeSlots(MemorySlots):
    """`most`: the largest number of slots that were held at once, by site, over all that share the ledger."""

    def __init__(self, clock, shared=None):
        super().__init__(clock, shared)
        self.most: dict[str, int] = shared.most if shared else {}
        self.failing = False

    async def take(self, site, limit):
        if self.failing:
            raise SlotsFailed("the disk is gone")
        slot = await super().take(site, limit)
        self.most[site] = max(self.most.get(site, 0), self.in_use(site))
        return slot

    async def spend(self, rate, per_minute, wanted):
        if self.failing:
            raise SlotsFailed("the disk is gone")
        return await super().spend(rate, per_minute, wanted)

    def in_use(self, site):
        return len(self._taken.get(site, ()))


class FakeBell:
    """`rings`: how often it was rung."""

    def __init__(self):
        self.others: list[FakeBell] = []
        self.rings = 0
        self._callback = lambda: None

    @classmethod
    def peers(cls, count):
        bells = [cls() for _ in range(count)]
        for bell in bells:
            bell.others = [other for other in bells if other is not bell]
        return bells

    def ring(self):
        self.rings += 1
        for other in self.others:
            other._callback()

    def on_ring(self, callback):
        self._callback = callback
