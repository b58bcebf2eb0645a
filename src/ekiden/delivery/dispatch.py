"""Delivery: one worker's post office. From claims to sites, from attempts to the store.

    delivery = Delivery(tools, config, secrets)
    await delivery.prepare()             # what is suspended
    delivery.start()                     # in the running loop
    delivery.tick(clock.monotonic())     # once a second, by the worker
    delivery.reconfigure(config, secrets)
    await delivery.drain(within=30.0)    # stops claiming, lets attempts finish, gives back the rest
    await delivery.aclose()

Rules
1. Claims come born claimed through the window (synchronously, no task) or out of the store by the scheduler.
2. A leg that comes out of the store goes the way the present configuration says: the key it was stored under may be
   older than a new `[[route]]`. Recipients whose ways part become legs of their own.
3. Next-hop keys lead to sites by `ways`. What is for a site that is barred goes back to the store, and is not claimed.
4. One slow site must not fill the window: a site that holds half of it and needs longer than `HORIZON` for that gives
   the rest back to the store, due when the site will have got so far at its pace. A quick one may have it all: its
   letters leave soon. Fresh letters always find the part that the scheduler leaves them. Who waits long is told.
5. Called by app (lifecycle) and, through the window, by session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ekiden.config.model import Config
from ekiden.delivery.attempt import Attempt
from ekiden.delivery.barrier import CLOSED, CONGESTED, Bar, NotNow
from ekiden.delivery.budget import Budget
from ekiden.delivery.faults import Faults, Tasks
from ekiden.delivery.held import HeldLetters
from ekiden.delivery.local import LocalSite
from ekiden.delivery.memory import HostMemory
from ekiden.delivery.noticeboard import Noticeboard
from ekiden.delivery.opening import Opener
from ekiden.delivery.road import Credentials
from ekiden.delivery.road_watch import RoadWatch
from ekiden.delivery.routing import Routing
from ekiden.delivery.schedule import Scheduler
from ekiden.delivery.settle import Settler
from ekiden.delivery.site import SHUTTING_DOWN, Site
from ekiden.delivery.surroundings import Surroundings
from ekiden.delivery.sweep import Sweep
from ekiden.delivery.tools import Tools
from ekiden.delivery.ways import Ways
from ekiden.model.envelope import LOCAL
from ekiden.model.events import SiteState
from ekiden.model.mailbox import domain_key
from ekiden.model.outcome import OutcomeKind
from ekiden.policy.next_hop import NextHops
from ekiden.policy.retry import attempts_by
from ekiden.ports.spool import BY_HAND, Claim, SpoolFailed, Suspension

#: How many seconds of its pace a site may hold when that is half the window.
HORIZON: Final = 10.0
#: Seconds between two rings for letters that were accepted and not claimed, a thousand a second perhaps.
RING_PAUSE: Final = 0.5
#: Letters at once that a person wants to be tried, of sites that are barred: one of them is the probe.
BY_HAND_AT_ONCE: Final = 20
#: What is put off for a slow site comes again after this long at most, in seconds: it may have recovered.
LATEST: Final = 300.0
#: Seconds between two looks for letters whose senders must be told that they wait.
DELAYS_PAUSE: Final = 30.0


class Delivery:
    """`secrets`: the login of each route with a `username`, by the route's name; app reads the files."""

    def __init__(self, tools: Tools, config: Config, secrets: Mapping[str, Credentials]) -> None:
        self._tools = tools
        self._window = tools.window
        self._clock = tools.clock
        self._faults = Faults(tools.events, tools.clock, tools.random)
        self._tasks = Tasks(self._faults)
        self._budget = Budget(tools.connections, reclaim=self._close_idle)
        self._memory = HostMemory()
        self._proven: dict[str, float] = {}
        self._ways = Ways(nudge=self.nudge, told=self._tell_barred)
        self._watch = RoadWatch(tools, self._faults, self._tasks.spawn, changed=self._ways.road_changed)
        self._scheduler = Scheduler(
            tools.spool, tools.window, tools.clock, self._faults, self._take_stored, self._avoid
        )
        self._settler = Settler(
            tools,
            self._faults,
            spawn=self._tasks.spawn,
            schedule_of=self._ways.schedule_of,
            on_due=self._scheduler.nudge,
            on_settled=self._settled,
        )
        self._local = LocalSite(tools, self._faults, spawn=self._tasks.spawn, finished=self._settler.settle)
        self._noticeboard = Noticeboard(tools.spool, tools.clock, self._faults, self._tasks.spawn)
        self._sweep = Sweep(tools.spool, tools.window, tools.clock)
        self._held = HeldLetters(tools, self._faults, settle=self._settler.settle, spawn=self._tasks.spawn)
        self._reading: asyncio.Task[None] | None = None
        self._draining = False
        self._ring_after = 0.0
        self._tell_delays_after = 0.0
        self._empty = asyncio.Event()
        self._deadline: float | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self._configure(config, secrets)

    # -- lifecycle ---------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Before `start`: what people suspended before we lived, so that a restart sends them nothing; and whether port
        25 is known to be blocked."""
        self._watch.read()
        try:
            await self._read_suspensions()
        except SpoolFailed as error:
            self._faults.known("delivery.orders", error)

    def start(self) -> None:
        """Begins to deliver. Needs a running loop."""
        self._window.attach(self._take_born, self._accepted_unclaimed)
        self._tools.wakeup.on_ring(self.heard_ring)
        self._loop_task = self._tasks.spawn(self._scheduler.run(), "delivery.schedule")

    def tick(self, now: float) -> None:
        """Once a second, with `Clock.monotonic()`: the only timer that delivery has."""
        self._budget.tick(now)
        self._ways.tick(now)
        for site in self._ways.sites():
            self._unclog(site)
        if not self._draining:
            self._tell_delays(now)
            self._held.tick(now, self._delivery.hold_expire)
            self._noticeboard.tick(self._ways.sites(), now)
            self._watch.tick()
            if self._reading is None or self._reading.done():
                self._reading = self._tasks.spawn(self._read_orders(), "delivery.orders")
        self._local.tick()
        self._unclog(self._local)
        self._settler.tick(now)
        self._scheduler.tick(now)
        if self._loop_task is not None and self._loop_task.done() and not self._draining:
            # a bug ended it (the event was told): the queue must not stand still for that
            self._loop_task = self._tasks.spawn(self._scheduler.run(), "delivery.schedule")
        if self._deadline is not None and now >= self._deadline:
            self._empty.set()

    def nudge(self) -> None:
        """Something became due in the store (`queue retry`, a letter accepted unclaimed)."""
        self._scheduler.nudge()

    def reconfigure(self, config: Config, secrets: Mapping[str, Credentials]) -> None:
        """For attempts that begin from now on. Connections that stand are closed when they are free."""
        self._configure(config, secrets)
        self._memory.clear()
        delivery = config.delivery
        self._window.resize(delivery.window_letters, delivery.window_octets)
        self._scheduler.nudge()

    async def drain(self, within: float) -> None:
        """Takes nothing new, gives back what was not begun, and waits until what is under way is recorded, `within`
        seconds at most (by `tick`). Then connections are cut: what may have been taken is delayed, the rest given
        back."""
        self._draining = True
        self._window.close()
        self._scheduler.stop()
        waiting = self._local.take_waiting() + self._ways.take_waiting()
        for site in self._ways.sites():
            site.drain()
        now = self._clock.now()
        self._settler.give_back([attempt.claim for attempt in waiting if attempt.is_untouched], now)
        begun = [attempt for attempt in waiting if not attempt.is_untouched]
        self._settler.put_back(begun, now, NotNow(CLOSED, SHUTTING_DOWN))
        await self._until_empty(within)
        for site in self._ways.sites():
            site.abort()
        await self._until_empty(LAST_WORDS)

    async def aclose(self) -> None:
        """Ends every task. Claims that are still held are freed with this process's incarnation (`Spool.close`)."""
        self._draining = True
        self._window.close()
        self._scheduler.stop()
        for site in self._ways.sites():
            site.drain()
            site.abort()
        self._tasks.cancel()
        await self._tasks.join()

    async def _until_empty(self, within: float) -> None:
        if self._window.used_legs:
            self._deadline = self._clock.monotonic() + within
            self._empty.clear()
            await self._empty.wait()
            self._deadline = None

    # -- configuration -----------------------------------------------------------------------------------------------

    def _configure(self, config: Config, secrets: Mapping[str, Credentials]) -> None:
        self._delivery = config.delivery
        self._next_hops = NextHops(config)
        self._settler.configure(config, self._next_hops)
        self._local.configure(_home(config))
        self._watch.configure(config)
        self._ways.configure(config, self._surroundings(config, secrets))

    def _surroundings(self, config: Config, secrets: Mapping[str, Credentials]) -> Surroundings:
        tools = self._tools
        return Surroundings(
            opener=Opener(
                tools.connector,
                tools.clock,
                self._tasks,
                self._memory,
                tools.events,
                helo_name=config.hostname,
                within=config.delivery.connect_timeout,
                noted=self._watch.note,
            ),
            routing=Routing(config, secrets, tools.resolver, tools.random, tools.sts, self._watch.is_blocked),
            clock=tools.clock,
            events=tools.events,
            random=tools.random,
            tasks=self._tasks,
            faults=self._faults,
            budget=self._budget,
            memory=self._memory,
            slots=tools.slots,
            ring=tools.wakeup.ring,
            share=self._share,
            finished=self._settler.settle,
            put_back=self._settler.put_back,
            barred=self._ways.barred,
            proven=self._proven,
            blocked=self._watch.keeps,
        )

    def _share(self, connections: int) -> int:
        """Of a site's connections what one worker takes at most: an equal part, rounded up. Who accepted a letter
        delivers it from memory; a worker without a connection must hand it over through the store."""
        return -(-connections // max(self._tools.workers, 1))

    # -- sites -------------------------------------------------------------------------------------------------------

    def heard_ring(self) -> None:
        """Another worker gave back legs or a slot, or died with them."""
        if not self._draining:
            self._ways.heard_ring()
            self._scheduler.nudge()

    def _accepted_unclaimed(self) -> None:
        """Our window is full; another worker may have room. Rung seldom: who is rung goes on until nothing is due."""
        self._scheduler.nudge()
        now = self._clock.monotonic()
        if now >= self._ring_after:
            self._ring_after = now + RING_PAUSE
            self._tools.wakeup.ring()

    def _close_idle(self) -> None:
        """The budget is used up."""
        for site in list(self._ways.sites()):
            site.close_idle()

    def _tell_barred(self, site: Site) -> None:
        barrier = site.barrier
        if barrier.bar is not Bar.PROBED:
            self._tools.events.emit(
                SiteState(
                    site=site.name,
                    what=barrier.bar.value or "open",
                    next_hops=sorted(site.keys)[:SHOWN],
                    reason=barrier.reason,
                    level="info" if barrier.bar is Bar.NONE else "warning",
                )
            )

    async def _read_orders(self) -> None:
        """Once a second: what a person wants suspended, and tried although its site rests; then the sweep."""
        spool = self._tools.spool
        try:
            await self._read_suspensions()
            if self._ways.avoid() and self._window.room >= BY_HAND_AT_ONCE:
                claims = await spool.claim(BY_HAND, BY_HAND_AT_ONCE)
                self._window.take(claims)
                if claims:
                    self._watch.hurry()
                self._ways.probe(claim.leg.next_hop for claim in claims)
                self._take_stored(claims)
            self._take_overdue(await self._sweep.step(self._avoid(), self._delivery))
        except SpoolFailed as error:
            self._faults.known("delivery.orders", error)

    async def _read_suspensions(self) -> None:
        suspensions = await self._tools.spool.suspensions()
        now = self._clock.now()
        self._ways.suspend({entry.site: _suspended(entry) for entry in suspensions if entry.lasts(now)})

    # -- claims ------------------------------------------------------------------------------------------------------

    def _take_born(self, claims: Sequence[Claim]) -> None:
        """From sessions: their keys are as fresh as can be."""
        if self._draining:
            self._settler.give_back(list(claims), self._clock.now())
            return
        for claim in claims:
            self._feed(claim.leg.next_hop, claim)

    def _take_stored(self, claims: list[Claim]) -> None:
        """From the scheduler."""
        if self._draining:
            self._settler.give_back(claims, self._clock.now())
            return
        for claim in claims:
            recipients = claim.leg.recipients
            keys = self._next_hops.keys_for(claim.envelope, recipients, self._attempts(claim))
            if len(keys) == 1:
                self._feed(keys.pop(), claim)
            else:
                attempt = Attempt(claim)
                attempt.decide_rest(OutcomeKind.EXPANDED, 250, "2.0.0", "the configuration parts their ways now")
                self._settler.settle(attempt, recipients)

    def _take_overdue(self, claims: Sequence[Claim]) -> None:
        """From the sweep: letters that wait too long for a site that takes none."""
        now = self._clock.now()
        for claim in claims:
            due, claim.leg.next_attempt = claim.leg.next_attempt or now, None
            keys = self._next_hops.keys_for(claim.envelope, claim.leg.recipients, self._attempts(claim))
            if len(keys) == 1 and (reason := self._ways.why_not(next(iter(keys)))):
                self._settler.put_back([Attempt(claim)], max(due, now), reason)
            else:
                self._take_stored([claim])

    def _attempts(self, claim: Claim) -> int:
        """Made, or missed because the site rests: a route of last resort (`after_attempts`) must not wait for that."""
        attempts = claim.leg.attempts
        failed = self._ways.failures_of(claim.leg.next_hop)
        if failed is None or failed[0] <= attempts:
            return attempts
        return max(attempts, attempts_by(self._clock.now() - claim.envelope.arrived, *failed))

    def _feed(self, key: str, claim: Claim) -> None:
        site: Site | LocalSite | None
        site = self._local if key == LOCAL and not self._ways.local_is_suspended else self._ways.site_of(key)
        if site is None:
            self._ways.wait(Attempt(claim), key)
        elif self._is_clogged_by(site):
            self._put_off(site, [Attempt(claim)])
        else:
            site.feed(Attempt(claim))

    def _is_clogged_by(self, site: Site | LocalSite) -> bool:
        """Cheap for all but the largest sites: called for every letter."""
        held = site.held
        return held * 2 >= self._window.letters and site.pace.seconds(held, self._clock.monotonic()) > HORIZON

    def _avoid(self) -> Collection[str]:
        """Next hops whose legs are not to be claimed: what `ways` says, and those of a site that holds half the window
        and takes nothing."""
        avoid = self._ways.avoid()
        if self._window.used_legs * 2 < self._window.letters:
            return avoid
        for site in self._ways.sites():
            if site.held * 2 >= self._window.letters and site.pace.is_stuck:
                avoid = {*avoid, *site.keys}
        return avoid

    def _unclog(self, site: Site | LocalSite) -> None:
        if self._is_clogged_by(site):
            self._put_off(site, site.shed(self._window.letters // 2))

    def _put_off(self, site: Site | LocalSite, attempts: Sequence[Attempt]) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        reason = _at_limits(site, monotonic)
        for attempt in attempts:
            site.pace.put_off()
            due = now + min(site.pace.seconds(site.held, monotonic), LATEST)
            self._settler.put_back([attempt], due, reason)

    def _tell_delays(self, now: float) -> None:
        """Of letters that wait in a site's queue behind its limits: they were claimed long ago, so no sweep finds
        them."""
        if now < self._tell_delays_after:
            return
        self._tell_delays_after = now + DELAYS_PAUSE
        for site in self._ways.sites():
            reason = _at_limits(site, now)  # of those that wait: asked before they are taken out
            if late := site.take_waiting_if(self._settler.is_overdue):
                self._settler.put_back(late, self._clock.now(), reason)

    def _settled(self) -> None:
        self._scheduler.freed()
        if self._draining and not self._window.used_legs:
            self._empty.set()


#: Seconds for what a cut connection leaves to be recorded.
LAST_WORDS: Final = 5.0
#: Next hops named in an event about a site.
SHOWN: Final = 10


def _suspended(entry: Suspension) -> str:
    """What a sender may read, too: a reason, but nobody's name."""
    return "nothing is sent there for now" + (f": {entry.reason}" if entry.reason else "")


def _at_limits(site: Site | LocalSite, now: float) -> NotNow:
    lack = site.lack(now) if isinstance(site, Site) else ""
    return NotNow(CONGESTED, lack or "many letters for the same place are before it")


def _home(config: Config) -> str:
    """Whose postmaster `<postmaster>` without a domain is: our hostname's if it is ours, else the first domain's."""
    ours = [domain_key(domain.name) for domain in config.domain if domain.recipients == "accounts"]
    hostname = domain_key(config.hostname)
    return hostname if hostname in ours or not ours else ours[0]
