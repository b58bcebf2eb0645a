"""The sweep: letters that nobody tries, because their sites take none, are reported and expire in time all the same.

Rules
1. Next hops that are passed over (a site rests, is suspended, lacks a slot) are never claimed, so that a backlog of a
   million letters for them costs nothing. But a suspension is no reason to keep a sender in the dark, and no letter
   stays longer than `expire_after`.
2. Once a second a few pages of the queue are read, the oldest first (an id says when a letter came): what is too old,
   or late and not told, is claimed, recorded without an attempt, and reported like any other letter. Then, after
   `PAUSE`, from the front again. A million letters take two minutes.
3. Several workers may do it at once: who claims a letter reports it, nobody else.

Called by `dispatch`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ekiden.config.model import Delivery
from ekiden.ports.clock import Clock
from ekiden.ports.spool import Claim, Overdue, Spool
from ekiden.spool.window import Window

#: Letters claimed in one step: each may need a report, with up to 64 KiB of the original.
AT_ONCE: Final = 100
#: Pages of the queue looked at in one step, as long as nothing is found.
PAGES: Final = 8
#: Seconds between two rounds.
PAUSE: Final = 30.0


class Sweep:
    def __init__(self, spool: Spool, window: Window, clock: Clock) -> None:
        self._spool = spool
        self._window = window
        self._clock = clock
        self._after: tuple[int, int] | None = None
        self._begin_at = 0.0

    async def step(self, avoid: Collection[str], delivery: Delivery) -> list[Claim]:
        """Claims that are counted into the window; the caller's. `avoid`: next hops. Raises SpoolFailed."""
        if not avoid or self._clock.monotonic() < self._begin_at:
            return []
        now = self._clock.now()
        for _ in range(PAGES):
            if self._window.room < AT_ONCE:
                break
            overdue = Overdue(
                avoid, now - delivery.delay_report_after, now - delivery.expire_after, self._after, AT_ONCE
            )
            claims, self._after = await self._spool.claim_overdue(overdue)
            self._window.take(claims)
            if self._after is None:
                self._begin_at = self._clock.monotonic() + PAUSE
            if claims or self._after is None:
                return claims
        return []
