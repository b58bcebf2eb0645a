"""Berths: how a site comes to its connections, from the wish for one more until it stands or is known not to.

Rules
1. A connection is opened with a berth: room in this worker (`budget`), and a slot of the site, which counts in all
   workers (`ports.slots`). Each has a task while it is being opened. Who gets no berth asks again, in a moment.
2. A slot that was found before there is a letter for it is kept as a spare for `SLOT_PAUSE`, then given back.
3. The road is asked for anew for each connection, so that equal hosts take turns.

Called by `site`, which is told what came of it (`BerthOwner`); calls `opening`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ekiden.delivery.budget import Standing
from ekiden.delivery.line import Berth
from ekiden.delivery.opening import LATER, UNREACHED
from ekiden.delivery.road import Host, NoRoad
from ekiden.delivery.smtp_connection import ConnectionOwner
from ekiden.delivery.surroundings import Surroundings
from ekiden.policy.site_rules import SiteRules
from ekiden.ports.slots import SlotsFailed

#: Seconds until a slot is asked for again.
SLOT_PAUSE: Final = 1.0


class BerthOwner(ConnectionOwner, Protocol):
    """The callbacks come when `opening` and the berth are counted already."""

    def on_unreachable(self, reason: NoRoad) -> None:
        """No host took a connection, or each refused the session."""

    def on_no_slot(self) -> None:
        """All slots of the site are in use."""

    def on_slot_found(self) -> bool:
        """`seek_slot` has a spare now. False: it is not wanted any more."""

    def on_slot_given(self) -> None:
        """A slot is free for others."""


class Berths:
    """One a site. `opening`: connections that are being opened. `open_after`: monotonic seconds; none more before that.
    `is_short`: no slot was to be had, which is asked again after `_slot_after`. `is_crowded`: no room was in this
    worker. `wake`: there is room again."""

    def __init__(
        self, owner: BerthOwner, name: str, rules: SiteRules, surroundings: Surroundings, wake: Callable[[], None]
    ) -> None:
        self.opening = 0
        self.open_after = 0.0
        self.road: Sequence[Host] = ()
        self.key = ""
        self._owner = owner
        self._name = name
        self._wake = wake
        self.is_short = False
        self.is_crowded = False
        self._slot_after = 0.0
        self._spare: Berth | None = None
        self._road_is_new = False
        self._draining = False
        self.configure(rules, surroundings)

    def configure(self, rules: SiteRules, surroundings: Surroundings) -> None:
        self._rules, self._around = rules, surroundings
        self.open_after = 0.0

    def take_road(self, road: Sequence[Host], key: str) -> None:
        """A next hop leads here, by these hosts."""
        self.road, self.key, self._road_is_new = road, key, True

    def is_idle(self, now: float) -> bool:
        return not self.opening and self._spare is None and now >= self.open_after and now >= self._slot_after

    def tick(self, now: float) -> None:
        """Once a second (rule 2)."""
        if self._spare is not None and now >= self._slot_after:
            self._give_spare()

    def drain(self) -> None:
        """None is begun any more."""
        self._draining = True
        self._give_spare()

    def begin(self, standing: Standing) -> bool:
        """Opens one more, if that is possible now."""
        around, now = self._around, self._around.clock.monotonic()
        spare = self._spare
        if now < self.open_after or (spare is None and now < self._slot_after):
            return False
        berth = spare or Berth()
        berth.place = around.budget.take(standing, now, self._wake, berth.cut)
        if berth.place is None:
            self.is_crowded = True
            return False
        self.is_crowded = False
        self._spare = None
        self.opening += 1
        berth.task = around.tasks.spawn(self._open(berth), "delivery.open")
        return True

    def heard_ring(self) -> bool:
        """A slot may have become free elsewhere. True: one was lacking."""
        return self._slot_came()

    def seek_slot(self) -> None:
        """Asks for the slot that was lacking, before there is any letter for it."""
        if not self.opening and not self._draining:
            self.opening += 1
            self._around.tasks.spawn(self._find_spare(), "delivery.slot")

    def give(self, berth: Berth) -> None:
        """A connection was not opened, or is closed. Idempotent."""
        if berth.place is not None:
            place, berth.place = berth.place, None
            self._around.budget.give(place)
        if berth.slot is not None:
            slot, berth.slot = berth.slot, None
            self._around.slots.give(slot)
            self._slot_came()  # this one: whose connections all close at once must not wait for a slot of its own
            self._owner.on_slot_given()

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _find_spare(self) -> None:
        berth = Berth()
        try:
            found = await self._take_slot(berth)
        finally:
            self.opening -= 1
        if not found:
            return
        self._spare = berth
        self.is_short = False
        self._slot_after = self._around.clock.monotonic() + SLOT_PAUSE
        if self._draining or not self._owner.on_slot_found():
            self._give_spare()

    async def _open(self, berth: Berth) -> None:
        """Ends with the connection standing, or with the owner told why not."""
        around = self._around
        try:
            if berth.slot is None and not await self._take_slot(berth):
                self.opening -= 1
                self.give(berth)
                self._owner.on_no_slot()
                return
            reason = await around.opener.open(await self._hosts(around), self._owner, berth, self._may_connect)
        except Exception as error:  # a fault of ours delays, it never loses (invariant 7)
            incident = around.faults.unexpected("delivery.open", error)
            reason = NoRoad(451, "4.3.0", f"internal fault, incident {incident}")
        except asyncio.CancelledError:
            if not berth.is_cut:
                self.opening -= 1
                raise
            reason = NoRoad(451, UNREACHED, "no session came about in time, and other sites waited for the connection")
        self.opening -= 1
        if reason is not None:
            self.give(berth)
            if reason is not LATER:
                self._owner.on_unreachable(reason)

    async def _hosts(self, around: Surroundings) -> Sequence[Host]:
        """Out of the resolver's memory, as a rule. What cannot be found out now is as it was, and a next hop that leads
        elsewhere by now is seen to by `ways`."""
        if self._road_is_new:
            self._road_is_new = False
            return self.road
        road = await around.routing.road(self.key)
        if not isinstance(road, NoRoad) and road[0].site == self.road[0].site:
            self.road = road
        return self.road

    async def _may_connect(self) -> bool:
        """A token, if connections have a rate."""
        rate = self._rules.connections_per_minute
        if not rate:
            return True
        try:
            grant = await self._around.slots.spend(f"connections {self._name}", rate, 1)
        except SlotsFailed as error:
            self._around.faults.known("delivery.slots", error)
            self.open_after = self._around.clock.monotonic() + SLOT_PAUSE
            return False
        if not grant.granted:
            self.open_after = self._around.clock.monotonic() + grant.wait
        return grant.granted > 0

    async def _take_slot(self, berth: Berth) -> bool:
        around = self._around
        try:
            berth.slot = await around.slots.take(self._name, self._rules.connections)
        except SlotsFailed as error:
            around.faults.known("delivery.slots", error)
        self.is_short = berth.slot is None
        if self.is_short:
            self._slot_after = around.clock.monotonic() + SLOT_PAUSE
        return not self.is_short

    def _slot_came(self) -> bool:
        was_short, self.is_short, self._slot_after = self.is_short, False, 0.0
        return was_short

    def _give_spare(self) -> None:
        if self._spare is not None:
            spare, self._spare = self._spare, None
            self.give(spare)
