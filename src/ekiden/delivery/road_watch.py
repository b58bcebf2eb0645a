"""The road watch: notices that this network blocks port 25, has it looked into, and knows when it is open again.

    watch.note(host, "timeout")             # each connection to an MX host, by `opening`
    watch.is_blocked("192.0.2.1")           # asked by `routing` and `ways`
    watch.tick()                            # once a second

Rules
1. Each worker suspects for itself (`policy.road_block`), for each family; what was judged is shared by all
   (`ports.road_memory`). Who asks the well-known hosts is on duty: it holds the one slot of `DUTY`, so two workers
   never ask at once, and a dead one's duty is free.
2. A suspicion that came to nothing is not looked into again within `QUIET` seconds, and each time twice as many, up to
   `LONGEST_QUIET`: dead domains alone in a small queue, or a machine without IPv6, must not ask the world for ever. It
   is told when it is another finding than the last.
3. While a family is blocked one host is asked every `[delivery.probe] every`; the first that answers opens the road.
4. One event and one notice to the postmaster a block. Who dies between the two: the next one on duty sends the notice.
5. With hosts taken out of the configuration nothing could ever open the road again: so then it is open.
6. Nothing here is done for a letter: a note a connection, a `stat` a second.

Owned by `dispatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from ekiden.config.model import Config
from ekiden.delivery.detour_spf import lacks_detour
from ekiden.delivery.faults import Faults
from ekiden.delivery.road import Host
from ekiden.delivery.road_probes import Examined, Prober
from ekiden.delivery.tools import Tools
from ekiden.message.road_notice import Detour, blocked_notice
from ekiden.model.events import RoadBlocked, RoadExamined, RoadOpen
from ekiden.model.road_block import Family, RoadBlock, RoadState, Trouble, family_of
from ekiden.policy.road_block import Contact, Suspicion, shows_open
from ekiden.ports.slots import SlotsFailed
from ekiden.ports.spool import SpoolFailed

#: Seconds until a suspicion is looked into again (rule 2).
QUIET: Final = 600.0
LONGEST_QUIET: Final = 3600.0
#: The slot of who asks.
DUTY: Final = "the probes of port 25"
#: Seconds until a notice that could not be stored is tried again.
NOTICE_PAUSE: Final = 60.0
#: At most one notice a family within so many seconds: a road that opens and closes does not write a letter each time.
NOTICE_EVERY: Final = 12 * 3600.0

Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class RoadWatch:
    """`changed`: called when a family was found blocked or open, here or by another worker."""

    def __init__(self, tools: Tools, faults: Faults, spawn: Spawn, changed: Callable[[], None]) -> None:
        self._tools = tools
        self._memory = tools.road
        self._tells = tools.notices is not None
        self._clock = tools.clock
        self._events = tools.events
        self._faults = faults
        self._spawn = spawn
        self._changed = changed
        self._state = RoadState()
        self._suspicions = {family: Suspicion() for family in Family}
        self._suspected: set[Family] = set()
        self._quiet: dict[Family, float] = {}
        self._findings: dict[Family, str] = {}
        self._is_busy = False
        self._hurried = False
        self._notice_after = 0.0
        self._prober: Prober
        self._config: Config

    def configure(self, config: Config) -> None:
        """Before the first note, and at every reload."""
        self._config = config
        self._prober = Prober(self._tools.connector, self._tools.resolver, config)

    # -- what others ask ---------------------------------------------------------------------------------------------

    @property
    def blocks(self) -> tuple[RoadBlock, ...]:
        return self._state.blocks if self._prober.can_judge else ()  # rule 5

    @property
    def has_detour(self) -> bool:
        return bool(self._config.delivery.detour.to)

    def is_blocked(self, address: str) -> bool:
        """`address`: of an MX host."""
        blocks = self.blocks
        return bool(blocks) and any(block.family is family_of(address) for block in blocks)

    def reason(self, address: str) -> str:
        """In words; '' if it is not blocked."""
        return next((block.reason for block in self.blocks if block.family is family_of(address)), "")

    def keeps(self, road: Sequence[Host]) -> str:
        """Why no host of the road may be tried; '' if one may, or if letters have another way."""
        if not self.blocks or self.has_detour or not all(host.by_mx and self.is_blocked(host.address) for host in road):
            return ""
        return self.reason(road[0].address)

    def note(self, host: Host, kind: str, banner: str = "") -> None:
        """What a connection to an MX host came to; `kind`, `banner`: as of `Contact`."""
        family = family_of(host.address)
        contact = Contact(host.site, host.name, host.address, kind, banner)
        if self._suspicions[family].note(contact, self._clock.monotonic()):
            self._suspected.add(family)

    def hurry(self) -> None:
        """A person wants letters to be tried now: so a host is asked at once."""
        self._hurried = bool(self._state.blocks)

    # -- time --------------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """What all workers know; at the start, and by `tick`."""
        if self._memory is None:
            return
        state = self._memory.read()
        before, self._state = self._state, state
        if _kinds(before) != _kinds(state):  # not each time that it was looked at
            self._changed()

    def tick(self) -> None:
        self.read()
        if self._is_busy or self._memory is None or not self._prober.can_judge:
            return
        work = self._due()
        if work is not None:
            self._is_busy = True
            self._spawn(self._on_duty(), "delivery.road")

    def _due(self) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """What is to be done now, by the state as it is."""
        now = self._clock.now()
        for block in self._state.blocks:
            if self._tells and not block.told and self._clock.monotonic() >= self._notice_after:
                return partial(self._tell, block)
            if self._hurried or not 0 <= now - block.looked < self._config.delivery.probe.every:
                return partial(self._look_again, block)
        for family in sorted(self._suspected):
            looked = self._state.looked.get(family)
            if self._state.block_of(family) is not None or (
                looked is not None and 0 <= now - looked < self._quiet.get(family, QUIET)
            ):
                self._forget(family)
            else:
                return partial(self._examine, family)
        return None

    async def _on_duty(self) -> None:
        slots = self._tools.slots
        try:
            slot = await slots.take(DUTY, 1)
            if slot is None:
                return  # another worker is at it: what it finds is read by `tick`
            try:
                self.read()  # another worker may have been at it just now
                work = self._due()
                if work is not None:
                    await work()
            finally:
                slots.give(slot)
        except SlotsFailed as error:
            self._faults.known("delivery.road", error)
        finally:
            self._is_busy = False

    # -- on duty -----------------------------------------------------------------------------------------------------

    async def _examine(self, family: Family) -> None:
        found = await self._prober.examine(family)
        self._forget(family)
        finding, now = found.finding, self._clock.now()
        if finding.trouble is None:
            await self._write(self._state.opened(family, now))
            self._came_to_nothing(family, found)
            return
        self._quiet.pop(family, None)
        self._findings.pop(family, None)
        block = RoadBlock(
            family=family,
            kind=finding.trouble,
            since=now,
            looked=now,
            evidence=found.evidence,
            banner=finding.banner,
        )
        await self._write(self._state.blocked(block))
        self._events.emit(
            RoadBlocked(
                family=family.value,
                kind=block.kind.value,
                evidence=list(block.evidence),
                detour=list(self._config.delivery.detour.to),
            )
        )
        await self._tell(block)

    def _came_to_nothing(self, family: Family, found: Examined) -> None:
        """Rule 2."""
        self._quiet[family] = min(2 * self._quiet.get(family, QUIET / 2), LONGEST_QUIET)
        finding = found.finding
        if self._findings.get(family) != finding.text:
            self._findings[family] = finding.text
            level = "warning" if finding.stripped else "info"
            self._events.emit(
                RoadExamined(family=family.value, finding=finding.text, evidence=list(found.evidence), level=level)
            )

    async def _look_again(self, block: RoadBlock) -> None:
        self._hurried = False
        probe = await self._prober.ask_one(block.family)
        now = self._clock.now()
        if probe is not None and shows_open(probe, block.banner):
            await self._write(self._state.opened(block.family, now))
            self._events.emit(RoadOpen(family=block.family.value, since=block.since, host=str(probe)))
        else:
            await self._write(self._state.blocked(replace(block, looked=now)))

    async def _tell(self, block: RoadBlock) -> None:
        """Rule 4."""
        notices = self._tools.notices
        if notices is None:
            return
        config = self._config
        detour = Detour(config.delivery.detour.to, await lacks_detour(self._tools.resolver, config))
        try:
            notice = blocked_notice(block, config.hostname, detour)
            await notices.tell(notice, every=NOTICE_EVERY)
        except SpoolFailed as error:
            self._faults.known("delivery.road", error)
            self._notice_after = self._clock.monotonic() + NOTICE_PAUSE
            return
        current = self._state.block_of(block.family)
        if current is not None:
            await self._write(self._state.blocked(replace(current, told=True)))

    async def _write(self, state: RoadState) -> None:
        if self._memory is not None:
            await self._memory.write(state)
        self.read()

    def _forget(self, family: Family) -> None:
        self._suspected.discard(family)
        self._suspicions[family].clear()


def _kinds(state: RoadState) -> set[tuple[Family, Trouble]]:
    return {(block.family, block.kind) for block in state.blocks}
