"""Suspending sites and naming ways, behind every face (CLI, later the console).

Rules
1. A site is named as people know it: a domain, an MX host, a route of the configuration, a way letters were rerouted
   to, or a next-hop key. What is none of these is refused, and nothing is changed.
2. A suspension is kept in the spool; all workers heed it within seconds, and it ends by itself. An event says who
   made it and who ended it.
3. What waits there goes on waiting: a suspension counts no attempt and changes no letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ekiden.config.model import Config
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX
from ekiden.model.events import SiteChanged
from ekiden.model.mailbox import domain_key
from ekiden.model.path import PathError, parse_path
from ekiden.policy.route_match import route_name
from ekiden.policy.target import parse_target, render_target
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.spool import Suspension


class NoSuchSite(Exception):
    """What was given names no site and no way. `str()` is a sentence: what was wrong, what would be right."""


class Suspended(NamedTuple):
    """`waiting`: legs that wait there now. Of an MX host, whose domains only DNS knows, none are counted but those for
    a domain of the same name."""

    suspension: Suspension
    waiting: int


class SuspendingSpool(Protocol):
    """The part of `ports.spool.Spool` that this needs."""

    async def suspend_site(self, suspension: Suspension) -> None: ...

    async def resume_site(self, site: str) -> bool: ...

    async def waiting(self, next_hop: str) -> int: ...


class SiteDesk:
    """`by`: who acts, for events and for those who read the list."""

    def __init__(self, spool: SuspendingSpool, sink: EventSink, clock: Clock, config: Config, *, by: str) -> None:
        self._spool = spool
        self._sink = sink
        self._clock = clock
        self._config = config
        self._by = by

    async def suspend(self, text: str, seconds: float | None = None, reason: str = "") -> Suspended:
        """For so long; None: until somebody resumes it. Raises NoSuchSite, SpoolFailed."""
        site, now = site_of(text, self._config), self._clock.now()
        until = None if seconds is None else now + seconds
        suspension = Suspension(site, until, reason, self._by, now)
        await self._spool.suspend_site(suspension)
        self._sink.emit(SiteChanged(action="suspend", site=site, by=self._by, until=until or 0.0, reason=reason))
        return Suspended(suspension, await self._spool.waiting(next_hop_of(site)))

    async def resume(self, text: str) -> Suspended | None:
        """None: it was not suspended. Raises NoSuchSite, SpoolFailed."""
        site = site_of(text, self._config)
        if not await self._spool.resume_site(site):
            return None
        self._sink.emit(SiteChanged(action="resume", site=site, by=self._by))
        return Suspended(Suspension(site), await self._spool.waiting(next_hop_of(site)))


def site_of(text: str, config: Config) -> str:
    """How a suspension spells it. Raises NoSuchSite."""
    text = text.strip()
    routes = [route_name(route) for route in config.route]
    if text == LOCAL:
        return text
    if text in routes:
        return ROUTE_PREFIX + text
    if text.startswith(ROUTE_PREFIX):
        if text.removeprefix(ROUTE_PREFIX) not in routes:
            known = ", ".join(f"route:{name}" for name in routes) or "none"
            raise NoSuchSite(f"{text!r} is no route of the configuration; there are: {known}")
        return text
    if text.startswith(VIA_PREFIX) or "://" in text:
        return VIA_PREFIX + target_of(text.removeprefix(VIA_PREFIX))
    if text.startswith(MX_PREFIX):
        return MX_PREFIX + _domain(text.removeprefix(MX_PREFIX))
    return _domain(text)


def target_of(text: str) -> str:
    """A target's URL as it is kept. Raises NoSuchSite."""
    if "@" in text:
        raise NoSuchSite("a way has no login in it; a [[route]] with `username` can have one")
    try:
        return render_target(parse_target(text))
    except ValueError as error:
        raise NoSuchSite(str(error)) from None


def next_hop_of(site: str) -> str:
    """The next-hop key that a site as `site_of` gives it means first of all: a bare name by MX."""
    is_key = site == LOCAL or site.startswith((ROUTE_PREFIX, VIA_PREFIX, MX_PREFIX))
    return site if is_key else MX_PREFIX + site


def suspension_of(next_hop: str, suspensions: Sequence[Suspension], now: float) -> Suspension | None:
    """The one that keeps a leg here, as far as it can be known without DNS."""
    return next((one for one in suspensions if one.lasts(now) and next_hop_of(one.site) == next_hop), None)


def _domain(text: str) -> str:
    """A domain, a host or an address literal. Raises NoSuchSite."""
    try:
        mailbox, rest = parse_path(f"<x@{text.removesuffix('.')}>".encode(), utf8=True, lenient=False)
    except PathError:
        mailbox, rest = None, b""
    if mailbox is None or rest or not mailbox.domain:
        raise NoSuchSite(
            f"{text!r} is no site; name a domain, an MX host, a route (route:NAME), local, or a way (via:smtp://HOST:PORT)"
        )
    return domain_key(mailbox.domain)
