"""What this worker tells people of its sites: which rest, are suspended, lack a slot, or are at their limits.

Rules
1. Looked at once a second, written only when it changed: nothing here is done for a letter. At most `AT_ONCE` rows a
   second, in one transaction; `MOST_SITES` rows and `MOST_KEYS` next hops in all, the rest of them is not told.
2. What may pass in a moment (slots, limits) is told when it has lasted for `SETTLED` seconds. A site that is probed is
   told as it was: whether the rest is over, the probe will show.
3. It is for people alone: a store that cannot take it is told it again, and nothing waits for that.

Called by `dispatch`; read by `admin` through `Spool.site_statuses`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, NamedTuple

from ekiden.delivery.barrier import Bar
from ekiden.delivery.faults import Faults
from ekiden.delivery.site import CROWDED, Site
from ekiden.ports.clock import Clock
from ekiden.ports.spool import SiteStatus, Spool, SpoolFailed

#: Rows written at once.
AT_ONCE: Final = 100
#: Rows of one worker; next hops in all of them, and in one.
MOST_SITES: Final = 2_000
MOST_KEYS: Final = 20_000
KEYS_OF_ONE: Final = 1_000
#: Seconds that slots or limits must be lacking.
SETTLED: Final = 3.0
#: Seconds until a row is written again because there is a little more to say.
REWRITE: Final = 3.0

LIMITS: Final = "limits"
#: The worker has no connection left for it: no limit of the site.
NO_ROOM: Final = "crowded"
#: What is told only when it lasts.
_PASSING: Final = frozenset({LIMITS, NO_ROOM, Bar.SLOTS.value})


class _Seen(NamedTuple):
    """A state as this worker saw it first. `since`: seconds since 1970; `begun`: monotonic."""

    state: str
    since: float
    begun: float


class _Told(NamedTuple):
    state: str
    failures: int
    reason: str
    keys: int
    at: float


class Noticeboard:
    def __init__(
        self, spool: Spool, clock: Clock, faults: Faults, spawn: Callable[[Coroutine[Any, Any, None], str], object]
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._faults = faults
        self._spawn = spawn
        self._seen: dict[str, _Seen] = {}
        self._told: dict[str, _Told] = {}
        self._unwanted: set[str] = set()  # rows that may stand in the store, and must not
        self._keys = 0
        self._is_telling = False

    def tick(self, sites: Iterable[Site], now: float) -> None:
        """Once a second. `now`: monotonic."""
        if self._is_telling:
            return
        seen: dict[str, _Seen] = {}
        news: list[SiteStatus] = []
        for site in sites:
            state, reason = _judge(site, now)
            if state:
                one = self._seen.get(site.name)
                if one is None or one.state != state:
                    one = _Seen(state, self._clock.now(), now)
                seen[site.name] = one
                if len(news) < AT_ONCE and self._is_news(site, one, reason, now):
                    news.append(self._write(site, one, reason, now))
        self._seen = seen
        self._unwanted.update(name for name, told in self._told.items() if _is_over(told, seen.get(name)))
        if news or self._unwanted:
            self._is_telling = True
            self._spawn(self._tell(news), "delivery.noticeboard")

    def _is_news(self, site: Site, one: _Seen, reason: str, now: float) -> bool:
        told = self._told.get(site.name)
        if one.state in _PASSING and now - one.begun < SETTLED:
            return False
        if told is None or told.state != one.state:
            return site.barrier.bar is not Bar.PROBED and (told is not None or len(self._told) < MOST_SITES)
        if site.barrier.bar is Bar.PROBED:
            return False
        if told.failures != site.barrier.failures:
            return True
        return (told.reason, told.keys) != (reason, len(site.keys)) and now - told.at >= REWRITE

    def _write(self, site: Site, one: _Seen, reason: str, now: float) -> SiteStatus:
        keys = sorted(site.keys)[: min(KEYS_OF_ONE, max(MOST_KEYS - self._keys, 0))]
        self._keys += len(keys)  # too many rather than too few, until `_tell` counts anew
        self._told[site.name] = _Told(one.state, site.barrier.failures, reason, len(site.keys), now)
        left = site.barrier.seconds_left(now)
        return SiteStatus(
            site=site.name,
            state=one.state,
            reason=reason,
            since=one.since,
            until=self._clock.now() + left if one.state == Bar.RESTING.value else None,
            next_hops=keys,
            connections=site.rules.connections,
        )

    async def _tell(self, news: list[SiteStatus]) -> None:
        names = {status.site for status in news}
        gone = self._unwanted - names
        try:
            await self._spool.tell_sites(news, gone)
        except SpoolFailed as error:
            self._faults.known("delivery.noticeboard", error)
            self._unwanted |= names  # nobody knows whether they stand there: `is_news` again, or taken away
            for name in names:
                self._told.pop(name, None)
        else:
            self._unwanted.clear()
            for name in gone:
                self._told.pop(name, None)
        finally:
            self._keys = sum(min(told.keys, KEYS_OF_ONE) for told in self._told.values())
            self._is_telling = False


def _judge(site: Site, now: float) -> tuple[str, str]:
    """State and reason; '' of a site that takes what comes."""
    barrier = site.barrier
    if barrier.bar is Bar.NONE:
        lack = site.lack(now)
        if lack == CROWDED:
            return NO_ROOM, lack
        return (LIMITS, lack) if lack else ("", "")
    if barrier.bar in (Bar.RESTING, Bar.PROBED):
        return Bar.RESTING.value, barrier.last_failure
    return barrier.bar.value, barrier.reason


def _is_over(told: _Told, seen: _Seen | None) -> bool:
    return seen is None or seen.state != told.state
