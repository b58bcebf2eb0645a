"""BanBook: who is banned from the doors with a login, and who will be for guessing on and on.

Rules
1. Asked once a connection (a few microseconds), and before each login of a session that is open already.
2. What any process put is known at the next `refresh`, which the app calls four times a second.
3. A store that fails bans nobody anew; who was known to be banned is banned on.
4. An automatic ban is told once (`ban.set`); that it is over is not told.

One a worker, for life, made by the composition root; `policy.banning` decides.
"""

from __future__ import annotations

from typing import Final, Protocol

from ekiden.model.events import BanSet
from ekiden.policy.banning import BanTable, next_ban
from ekiden.policy.login_network import login_network
from ekiden.ports.bans import Bans, BansFailed
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.known_pairs import KnownPairs
from ekiden.ports.tally import Tally

#: How long refusals are counted, in seconds.
WINDOW: Final = 3600.0
#: All workers together decide about a network once in so many seconds.
_PAUSE: Final = 30.0


class Addresses(Protocol):
    def __contains__(self, address: str) -> bool: ...


class BanTerms(Protocol):
    """`[limits]`."""

    @property
    def ban_after(self) -> int: ...

    @property
    def ban_for(self) -> float: ...


class BanBook:
    def __init__(self, bans: Bans, tally: Tally, pairs: KnownPairs, clock: Clock, events: EventSink) -> None:
        self._bans = bans
        self._tally = tally
        self._pairs = pairs
        self._clock = clock
        self._events = events
        self._table = BanTable()

    def banned(self, address: str) -> bool:
        return self._table.bans(address, self._clock.now())

    def refresh(self) -> bool:
        """Whether anything changed. Raises BansFailed."""
        news = self._bans.news()
        if news:
            self._table.learn(news, self._clock.now())
        return bool(news)

    async def refused(self, client: str, network: str, terms: BanTerms, exempt: Addresses) -> None:
        """A login from `client` was refused for guessing. `network`: its address or /64, in CIDR form. `exempt`: never
        banned by themselves."""
        if terms.ban_after < 1 or client in exempt:
            return
        if self._tally.add(f"refused:{network}", WINDOW) < terms.ban_after:
            return
        if self._tally.recall(f"banning:{network}") is not None:
            return
        self._tally.remember(f"banning:{network}", _PAUSE)
        if not login_network(client) or await self._pairs.knows_network(login_network(client)):
            return
        try:
            await self._ban(network, terms)
        except BansFailed:
            return  # rule 3

    async def _ban(self, network: str, terms: BanTerms) -> None:
        reason = f"{terms.ban_after} logins more after it was refused for guessing"
        before = await self._bans.find(network)
        ban = next_ban(network, before, now=self._clock.now(), first=terms.ban_for, reason=reason)
        if ban is None:
            return
        await self._bans.put(ban)
        self._tally.forget(f"refused:{network}")
        self._events.emit(
            BanSet(network=network, by=ban.by, until=ban.until or 0.0, reason=reason, times=ban.times, level="warning")
        )
