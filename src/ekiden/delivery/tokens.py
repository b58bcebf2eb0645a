"""Tokens: letters that may be begun now, at a site whose letters a minute are limited (`ports.slots`, rule 2).

Taken in batches of what waits, a second's worth at most, and forgotten when they were not used soon. Whoever finds none
waits without a timer: the site's tick asks again.
"""

from __future__ import annotations

from collections.abc import Callable

from ekiden.delivery.faults import Faults, Tasks
from ekiden.ports.clock import Clock
from ekiden.ports.slots import TOKEN_SECONDS, Slots, SlotsFailed


class Tokens:
    """`ready`: called when there are tokens after there were none."""

    def __init__(
        self,
        rate: str,
        per_minute: int,
        slots: Slots,
        clock: Clock,
        tasks: Tasks,
        faults: Faults,
        ready: Callable[[], None],
    ) -> None:
        self._rate = rate
        self._per_minute = per_minute
        self._slots = slots
        self._clock = clock
        self._tasks = tasks
        self._faults = faults
        self._ready = ready
        self._left = 0
        self._until = 0.0
        self._ask_after = 0.0
        self._asking = False

    def are_out(self, now: float) -> bool:
        """There were none when they were asked for, and it is too early to ask again. `now`: monotonic."""
        return not self._left and now < self._ask_after

    def use(self, wanted: int) -> bool:
        """One token. False: none now; if it is worth it, up to `wanted` are asked for."""
        now = self._clock.monotonic()
        if self._left and now < self._until:
            self._left -= 1
            return True
        self._left = 0
        if not self._asking and now >= self._ask_after:
            self._asking = True
            self._tasks.spawn(self._ask(wanted), "delivery.rate")
        return False

    async def _ask(self, wanted: int) -> None:
        now = self._clock.monotonic()  # before the engine's answer, so that the tokens are never older than they say
        try:
            grant = await self._slots.spend(self._rate, self._per_minute, wanted)
        except SlotsFailed as error:
            self._faults.known("delivery.slots", error)
            self._ask_after = now + TOKEN_SECONDS
            return
        finally:
            self._asking = False
        self._ask_after = now + grant.wait
        if grant.granted:
            self._left = grant.granted
            self._until = now + TOKEN_SECONDS
            self._ready()
