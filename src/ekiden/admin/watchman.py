"""Watchman: looks through our own counts for what is far from usual, tells the event, and writes one mail a day.

Rules
1. Asked once a minute, by one process of the server (whoever has the duty, `app.watching`).
2. The hour that runs is judged as far as it went: too much of something shows within two minutes. What fell off shows
   when the hour is over, and only if the server was up for nearly all of it.
3. `anomaly.found` comes once an hour and measure. The postmaster gets one mail a day and measure at most.
4. What is usual, and what is not, says `policy.anomaly`; until there are two weeks of counts nothing is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from ekiden.admin.anomaly_text import anomaly_letter
from ekiden.message.notice import Notice
from ekiden.model.events import AnomalyFound
from ekiden.model.measures import UP, WATCHED, Measure
from ekiden.policy.anomaly import DAY_HOURS, HOUR, MIN_DAYS, Anomaly, compared_hours, judge
from ekiden.ports.clock import Clock
from ekiden.ports.counts import CountStore
from ekiden.ports.events import EventSink
from ekiden.spool.notices import DAY

#: Minutes of an hour that the server must have been up: to be compared with, and to be told that something fell.
UP_ENOUGH: Final = 30
UP_WHOLE: Final = 55
#: Keys that are named.
NAMED: Final = 5


class Letters(Protocol):
    """`spool.notices.Notices`."""

    def tell(self, notice: Notice, *, every: float = 0.0) -> Awaitable[bool]: ...


class Watchman:
    """`letters`: who writes to the postmaster; None: nobody wants it."""

    def __init__(
        self, store: CountStore, events: EventSink, clock: Clock, letters: Callable[[], Letters | None]
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._letters = letters

    async def look(self) -> None:
        """Raises CountsFailed, SpoolFailed."""
        hour = int(self._clock.now() // HOUR)
        first = await self._store.first_hour(UP.name)
        if first is None or hour - first < MIN_DAYS * DAY_HOURS:
            return
        for measure in WATCHED:
            await self._judge(measure, hour, is_over=False)
            await self._judge(measure, hour - 1, is_over=True)

    async def _judge(self, measure: Measure, hour: int, *, is_over: bool) -> None:
        compared = compared_hours(hour)
        up = await self._store.totals(UP.name, [hour, *compared])
        counts = await self._store.totals(measure.name, [hour, *compared])
        samples = [counts.get(one, 0) for one in compared if up.get(one, 0) >= UP_ENOUGH]
        whole = is_over and up.get(hour, 0) >= UP_WHOLE
        found = judge(measure, counts.get(hour, 0), samples, is_over=whole)
        if found is None or not await self._store.begin_telling(measure.name, hour):
            return
        await self._tell(measure, hour, found)

    async def _tell(self, measure: Measure, hour: int, found: Anomaly) -> None:
        top = await self._store.top(measure.name, hour, NAMED) if measure.by else {}
        event = AnomalyFound(
            measure=measure.name,
            hour=hour * HOUR,
            count=found.seen,
            usual=found.usual,
            deviation=round(found.deviation, 1),
            bound=found.bound,
            fell=found.fell,
            compared=found.samples,
            least=found.least,
            most=found.most,
            top=top,
        )
        self._events.emit(event)
        letters = self._letters()
        if letters is None:
            return
        subject, text = anomaly_letter(event)
        await letters.tell(Notice("anomaly", subject, text, about=measure.name), every=DAY)
