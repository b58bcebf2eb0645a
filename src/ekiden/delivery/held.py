"""Held letters never wait for ever: what a rule holds goes back to its sender when nobody decided about it.

Rules
1. What a person holds stays: they know of it. All other holds (the brake, a content rule) end after
   `[delivery] hold_expire`, counted from when the letter came.
2. The sender gets the report of any other failure, and is told why the letter was held (invariant 2).
3. Every `PAUSE` seconds, the oldest first; what is held is found by an index, so a backlog costs nothing. Several
   workers may do it at once: who claims a letter reports it, nobody else.

Called by `dispatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.faults import Faults
from ekiden.delivery.tools import Tools
from ekiden.model.envelope import HELD_BY, LegState
from ekiden.model.events import HoldExpired
from ekiden.model.ids import render_id
from ekiden.model.outcome import OutcomeKind
from ekiden.ports.spool import QueuedLetter, Selection, SpoolFailed

#: Seconds between two looks.
PAUSE: Final = 60.0
#: Letters at a time: each may need a report, with up to 64 KiB of the original.
AT_ONCE: Final = 100
#: RFC 3463 §3.8: delivery not authorized.
STATUS: Final = "5.7.1"


class HeldLetters:
    """`settle`: records an attempt whose recipients are all decided. `spawn`: runs what waits."""

    def __init__(
        self,
        tools: Tools,
        faults: Faults,
        *,
        settle: Callable[[Attempt], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self._spool = tools.spool
        self._window = tools.window
        self._clock = tools.clock
        self._events = tools.events
        self._faults = faults
        self._settle = settle
        self._spawn = spawn
        self._next = 0.0

    def tick(self, now: float, expire: float) -> None:
        """`now`: monotonic. `expire`: seconds."""
        if now >= self._next:
            self._next = now + PAUSE
            self._spawn(self._expire(expire), "delivery.held")

    async def _expire(self, expire: float) -> None:
        selection = Selection(state=LegState.HELD, arrived_before=self._clock.now() - expire, limit=AT_ONCE)
        try:
            while self._window.room and (page := await self._spool.find(selection)):
                for found in page:
                    await self._give_up(found, expire)
                selection.after = page[-1].letter
        except SpoolFailed as error:
            self._faults.known("delivery.held", error)

    async def _give_up(self, found: QueuedLetter, expire: float) -> None:
        for reason in {leg.hold_reason for leg in found.legs if not leg.hold_reason.startswith(HELD_BY)}:
            meant = Selection(letter=found.letter, state=LegState.HELD, hold=reason)
            claims = await self._spool.claim_for_removal(found.letter, meant)
            self._window.take(claims)
            for claim in claims:
                attempt = Attempt(claim)
                text = f"held for {_days(expire)}, and nobody released it: {reason}"
                attempt.decide_rest(OutcomeKind.FAILED, 550, STATUS, text)
                self._settle(attempt)
            if claims:
                account = found.envelope.origin.account
                self._events.emit(HoldExpired(letter=render_id(found.letter), reason=reason, account=account))


def _days(seconds: float) -> str:
    if seconds < 2 * 86_400:
        hours = max(round(seconds / 3600), 1)
        return f"{hours} hour{'s' * (hours > 1)}"
    return f"{round(seconds / 86_400)} days"
