"""Ways: from next-hop keys to sites. Domains with the same MX hosts lead to one site, and share its connections.

Rules
1. The road of a key is looked up before its letters go to a site, and remembered for `KNOWN` seconds: never per letter.
   Letters that come meanwhile wait here; they are counted in the window like all others.
2. At most `LOOKUPS` lookups at once, however many domains wait. A key that waits keeps at most a part of the
   window here; what comes beyond goes back to the store.
3. A key without a road decides the letters of that key alone, and is asked about again after `UNKNOWN` seconds at the
   earliest.
4. Keys share a site only if their roads have the same name (`site_name`), the same `[[site]]` rules, and hosts that are
   protected the same way. What differs in the last alone shares the budget.
5. Here is known which keys are not to be claimed (`avoid`): those of barred and suspended sites. A site that is probed
   loses its keys, so that a domain which has moved is looked up anew.

Called by `dispatch`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from ekiden.config.model import Config
from ekiden.delivery.attempt import Attempt
from ekiden.delivery.barrier import CLOSED, Bar, NotNow
from ekiden.delivery.road import Host, NoRoad, Road
from ekiden.delivery.site import Site
from ekiden.delivery.surroundings import Surroundings
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX
from ekiden.model.outcome import OutcomeKind
from ekiden.policy.retry import RetrySchedule
from ekiden.policy.site_rules import SiteRules, rules_for

#: Seconds that a road is believed. The resolver has its own memory, by the TTL.
KNOWN: Final = 300.0
#: Seconds that "no road" is believed.
UNKNOWN: Final = 10.0
#: Lookups at once: a few questions each. With a fifth of ten thousand domains' name servers dead for 10 s each, the
#: others still get 100 a second.
LOOKUPS: Final = 256
#: The part of the window (one in …) that the letters of one key may take while they wait for its road.
WAITING_PART: Final = 4
#: What comes beyond is due again after so many seconds.
FULL: Final = 1.0
#: Keys of sites that failed, with how often; beyond it the memory starts anew.
REMEMBERED: Final = 10_000
LOOKED_UP: Final = NotNow("4.4.3", "its domain is being looked up")


class Way:
    """`site`, `no_road`: what was found; neither while it is looked up."""

    __slots__ = ("is_queued", "key", "no_road", "site", "until", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.site: Site | None = None
        self.no_road: NoRoad | None = None
        self.until = 0.0
        self.waiting: list[Attempt] = []
        self.is_queued = False


class Ways:
    """`nudge`: keys that were avoided no longer are. `told`: a site was barred or is no longer. `local_is_suspended`:
    our own mailboxes are, whose letters then belong here, too."""

    def __init__(self, *, nudge: Callable[[], None], told: Callable[[Site], None]) -> None:
        self._nudge = nudge
        self._told = told
        self._ways: dict[str, Way] = {}
        self._sites: dict[str, Site] = {}
        self._known: deque[Way] = deque()  # oldest first, as the next
        self._unknown: deque[Way] = deque()
        self._to_ask: deque[Way] = deque()
        self._asking = 0
        self._barred: set[str] = set()
        #: With the schedule of their site; outlives the ways, which a probe makes anew.
        self._failures: dict[str, tuple[int, RetrySchedule]] = {}
        self._full: set[str] = set()
        self._suspended: dict[str, str] = {}
        self.local_is_suspended = False
        self._most_waiting = 1
        self._generation = 0
        self._config: Config
        self._around: Surroundings

    # -- for dispatch ------------------------------------------------------------------------------------------------

    def configure(self, config: Config, around: Surroundings) -> None:
        """Roads are looked up anew; sites keep their letters."""
        self._config, self._around = config, around
        self._most_waiting = max(config.delivery.window_letters // WAITING_PART, 1)
        for site in self._sites.values():
            site.configure(_rules(config, site.key, site.road), around)
            self._judge(site)
        self._look_up_anew()

    def road_changed(self) -> None:
        """Port 25 was found blocked, or open again: what waits here for MX hosts goes back to the store, and comes
        again by the way that is open."""
        self._look_up_anew()
        for site in list(self._sites.values()):
            if site.road[0].by_mx or site.road[0].is_detour:
                reason = NotNow(CLOSED, "the road to its hosts has changed")
                self._around.put_back(site.take_waiting(), self._around.clock.now(), reason)
                self._judge(site)
        self._nudge()

    def _look_up_anew(self) -> None:
        """What is looked up right now is asked for again when it is found."""
        self._generation += 1
        for key in [key for key, way in self._ways.items() if not way.is_queued]:
            self._forget(self._ways[key])

    def sites(self) -> Collection[Site]:
        return self._sites.values()

    def site_of(self, key: str) -> Site | None:
        """None: it must be looked up (`wait`), or is suspended."""
        way = self._ways.get(key)
        return None if way is None or self._suspended else way.site

    def wait(self, attempt: Attempt, key: str) -> None:
        """A letter whose site is not known."""
        if self._suspended and (reason := self._suspension_of(key)):
            self._around.put_back([attempt], self._around.clock.now(), NotNow(CLOSED, reason))
            return
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = Way(key)
        if way.site is not None:
            way.site.feed(attempt)
        elif way.no_road is not None and self._around.clock.monotonic() < way.until:
            self._decide([attempt], way.no_road)
        elif len(way.waiting) >= self._most_waiting:
            self._full.add(key)
            self._around.put_back([attempt], self._around.clock.now() + FULL, LOOKED_UP)
        else:
            way.waiting.append(attempt)
            self._ask_for(way)

    def avoid(self) -> Collection[str]:
        """Keys whose letters are not to be claimed now; the caller's own."""
        if not (self._barred or self._full or self._suspended):
            return ()
        return {*self._barred, *self._full, *_keys_named(self._suspended)}

    def why_not(self, key: str) -> NotNow | None:
        """Why letters of that key are not to be claimed now; None if they are."""
        if reason := self._suspension_of(key):
            return NotNow(CLOSED, reason)
        way = self._ways.get(key)
        return way.site.barrier.not_now if way is not None and way.site is not None and way.site.is_avoided else None

    def tick(self, now: float) -> None:
        """Once a second."""
        self._forget_old(self._known, now)
        self._forget_old(self._unknown, now)
        for name, site in list(self._sites.items()):
            site.tick(now)
            if site.is_idle(now):
                self._drop(name, site)

    def heard_ring(self) -> None:
        for site in list(self._sites.values()):
            site.heard_ring()

    def suspend(self, suspended: dict[str, str]) -> None:
        """`suspended`: keys, domains or MX hosts to which nothing is sent, with what people are told."""
        if suspended == self._suspended:
            return
        self._suspended = suspended
        self.local_is_suspended = LOCAL in suspended
        for site in list(self._sites.values()):
            self._judge(site)
            for key in list(site.keys):
                if reason := self._suspension_of(key):
                    not_now = NotNow(CLOSED, reason)
                    self._around.put_back(site.take_waiting_of(key), self._around.clock.now(), not_now)
        self._nudge()

    def probe(self, keys: Iterable[str]) -> None:
        """By hand: sites that rest are tried at once."""
        for key in keys:
            way = self._ways.get(key)
            if way is not None and way.site is not None:
                way.site.probe_now()

    def barred(self, site: Site) -> None:
        """A site takes letters again, or no longer."""
        if len(self._failures) >= REMEMBERED:
            self._failures.clear()
        if site.is_avoided:
            self._barred |= site.keys
            self._failures |= dict.fromkeys(site.keys, (site.barrier.failures, site.rules.retry))
        else:
            self._barred -= site.keys
            if not site.barrier.failures:
                for key in site.keys:
                    self._failures.pop(key, None)
            if site.barrier.bar is Bar.PROBED:
                for key in list(site.keys):
                    self._forget(self._ways[key])
            self._nudge()
        before, site.told = site.told, site.barrier.bar
        if site.told is not before and Bar.BLOCKED not in (before, site.told):  # that is one event for all sites
            self._told(site)

    def schedule_of(self, key: str) -> RetrySchedule | None:
        """None: nothing is known but `[delivery]`."""
        way = self._ways.get(key)
        return None if way is None or way.site is None else way.site.rules.retry

    def failures_of(self, key: str) -> tuple[int, RetrySchedule] | None:
        """How often in a row its site had failed as a whole when it was barred last, and that site's schedule."""
        return self._failures.get(key)

    def take_waiting(self) -> list[Attempt]:
        """All that wait for a road, and at the sites; they are nobody's here then."""
        taken: list[Attempt] = []
        for way in self._ways.values():
            taken += way.waiting
            way.waiting = []
        for site in self._sites.values():
            taken += site.take_waiting()
        return taken

    # -- lookups -----------------------------------------------------------------------------------------------------

    def _ask_for(self, way: Way) -> None:
        if way.is_queued:
            return
        way.is_queued = True
        way.no_road = None
        self._to_ask.append(way)
        if self._asking < LOOKUPS:
            self._asking += 1
            self._around.tasks.spawn(self._ask(), "delivery.lookup")

    async def _ask(self) -> None:
        try:
            while self._to_ask:
                await self._look_up(self._to_ask.popleft())
        finally:
            self._asking -= 1

    async def _look_up(self, way: Way) -> None:
        around, generation = self._around, self._generation
        road: Road
        try:
            road = await around.routing.road(way.key)
        except Exception as error:  # a fault of ours delays, it never loses (invariant 7)
            incident = around.faults.unexpected("delivery.lookup", error)
            road = NoRoad(451, "4.3.0", f"internal fault, incident {incident}")
        if generation != self._generation:  # a new configuration came meanwhile, or port 25 was blocked
            self._to_ask.append(way)
            return
        way.is_queued = False
        self._found(way, road)

    def _found(self, way: Way, road: Road) -> None:
        waiting, way.waiting = way.waiting, []
        if way.key in self._full:
            self._full.remove(way.key)
            self._nudge()
        now = self._around.clock.monotonic()
        if isinstance(road, NoRoad):
            way.no_road, way.until = road, now + UNKNOWN
            self._unknown.append(way)
            self._decide(waiting, road)
            return
        way.until = now + KNOWN
        self._known.append(way)
        site = self._site(way.key, road)
        way.site = site
        site.keys.add(way.key)
        if site.is_avoided:
            self._barred.add(way.key)
        for attempt in waiting:
            site.feed(attempt)

    def _site(self, key: str, road: Sequence[Host]) -> Site:
        rules = _rules(self._config, key, road)
        budget = road[0].site
        if rules.name != _rules(self._config, "", road).name:
            budget = f"{budget} ({rules.name})"  # rule 4
        name = f"{budget} [{policy}]" if (policy := _policy(road)) else budget
        site = self._sites.get(name)
        if site is None:
            site = self._sites[name] = Site(road, key, rules, self._around, name, budget)
            self._judge(site)
        else:
            site.take_road(road, key)
        return site

    def _decide(self, attempts: Sequence[Attempt], reason: NoRoad) -> None:
        kind = OutcomeKind.FAILED if reason.code >= 500 else OutcomeKind.DELAYED
        for attempt in attempts:
            attempt.started = attempt.started or self._around.clock.monotonic()
            attempt.decide_rest(kind, reason.code, reason.status, reason.text)
            self._around.finished(attempt)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _judge(self, site: Site) -> None:
        """Whether a person suspended one of its hosts, or port 25 is blocked for all of them."""
        names = [host.name or str(host.where) for host in site.road]
        reason = next((self._suspended[name] for name in [site.name, *names] if name in self._suspended), None)
        if reason is not None:
            site.suspend(reason)
        elif blocked := self._around.blocked(site.road):
            site.suspend(blocked, Bar.BLOCKED)
        else:
            site.resume()

    def _suspension_of(self, key: str) -> str:
        return self._suspended.get(key) or self._suspended.get(key.partition(":")[2], "")

    def _forget(self, way: Way) -> None:
        del self._ways[way.key]
        self._barred.discard(way.key)
        if way.site is not None:
            way.site.keys.discard(way.key)

    def _forget_old(self, ways: deque[Way], now: float) -> None:
        while ways and ways[0].until <= now:
            way = ways.popleft()
            if self._ways.get(way.key) is not way or way.is_queued or way.until > now:
                continue  # forgotten before, or found out anew
            if way.site is not None and way.site.is_avoided:
                way.until = now + KNOWN
                ways.append(way)
            else:
                self._forget(way)

    def _drop(self, name: str, site: Site) -> None:
        del self._sites[name]
        for key in list(site.keys):
            self._forget(self._ways[key])


def _policy(road: Sequence[Host]) -> str:
    return ", ".join(sorted({host.policy for host in road if host.policy}))


def _rules(config: Config, key: str, road: Sequence[Host]) -> SiteRules:
    return rules_for(config, next_hop=key, hosts=list(dict.fromkeys(host.name or str(host.where) for host in road)))


def _keys_named(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield MX_PREFIX + name
        yield ROUTE_PREFIX + name
