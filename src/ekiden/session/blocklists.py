"""Blocklists: asks DNS lists about clients, and finds out which lists can be believed.

Rules
1. Lists are asked at the same time; what a list does not answer counts nothing.
2. A list counts only while it is healthy (`policy.dnsbl`), for IPv4 and IPv6 apart. It is checked before it counts the
   first time, every hour, when it has refused a question or did not answer one (once a minute at most), and before a
   listing counts if the last check is older than `FRESH` seconds: a list that begins to list everybody refuses no
   letter.
3. A list that is off is asked nothing but the two test questions, every `RETRY` seconds, until it is well.
4. Each worker finds out for itself; an event is told once (`_tell`).

Made by the composition root for each configuration; `session.callers` asks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from ekiden.config.model import Dnsbl
from ekiden.model.caller_events import ListOff, ListOn
from ekiden.policy.dnsbl import TEST_LISTED, TEST_UNLISTED, Listing, fault_of, find_listing, is_refusal, question
from ekiden.policy.networks import parse_address
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.resolver import Resolver, Status
from ekiden.ports.tally import Tally

#: RFC 5782 §5 asks for tests from time to time.
EVERY: Final = 3600.0
RETRY: Final = 300.0
FRESH: Final = 300.0
#: Not more often for what a list did with a client's question.
SUSPICION: Final = 60.0
#: Longer than EVERY: who is off stays told.
_TOLD: Final = 2 * 86400.0
_VERSIONS: Final = (4, 6)


class Word(NamedTuple):
    """What one list says. `silent`: it did not answer."""

    listing: Listing | None = None
    silent: bool = False


_NOTHING: Final = Word()
_SILENT: Final = Word(silent=True)


class _Health:
    """`checked`: when last, None: never. `fault`: '' if all is well."""

    __slots__ = ("checked", "checking", "fault")

    def __init__(self) -> None:
        self.checked: float | None = None
        self.checking: asyncio.Future[None] | None = None
        self.fault = ""


class Blocklists:
    def __init__(
        self, entries: Sequence[Dnsbl], resolver: Resolver, clock: Clock, tally: Tally, events: EventSink
    ) -> None:
        self.entries = tuple(entries)
        self._resolver = resolver
        self._clock = clock
        self._tally = tally
        self._events = events
        self._closed = False
        self._health = {(entry.zone, version): _Health() for entry in entries for version in _VERSIONS}

    def is_on(self, zone: str, version: int = 4) -> bool:
        """As far as this worker knows; a list that was never checked is not."""
        health = self._health[zone, version]
        return health.checked is not None and not health.fault

    async def ask(self, entry: Dnsbl, client: str) -> Word:
        """What this list says of the client. Never raises but for cancellation."""
        address = parse_address(client)
        if address is None:
            return _NOTHING
        health = self._health[entry.zone, address.version]
        if health.checked is None:
            await self._check(entry.zone, address.version)
        if health.fault:
            return _NOTHING
        answer = await self._resolver.ipv4(question(str(address), entry.zone))
        if answer.status is Status.NOT_FOUND:
            return _NOTHING
        failed = answer.status is Status.FAILED
        if failed or any(map(is_refusal, answer.addresses)):
            if self._age(health) >= SUSPICION:
                await self._check(entry.zone, address.version)
            if not failed and not health.fault:  # the test questions alone it answers
                self._found(entry.zone, address.version, f"it answers {answer.addresses[0]}, which is no listing")
            return _SILENT if not health.fault else _NOTHING
        listing = find_listing(entry, str(address), answer.addresses)
        if listing is not None and self._age(health) >= FRESH:
            await self._check(entry.zone, address.version)
        return Word(listing) if listing is not None and not health.fault else _NOTHING

    async def watch(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """For as long as this configuration holds: rule 2's hours, and rule 3."""
        while self.entries:
            await self.check_due()
            await sleep(RETRY)

    def close(self) -> None:
        """Nothing that is found out from now on counts: the resolver goes away."""
        self._closed = True

    async def check_due(self) -> None:
        due = [
            key
            for key, health in self._health.items()
            if health.checked is None or health.fault or self._age(health) >= EVERY - RETRY / 2
        ]
        await asyncio.gather(*(self._check(*key) for key in due))

    def _age(self, health: _Health) -> float:
        """Since the last check, in seconds."""
        return self._clock.monotonic() - (health.checked or 0.0)

    async def _check(self, zone: str, version: int) -> None:
        """One at a time for each; goes on when the one who asked first gives up."""
        health = self._health[zone, version]
        if health.checking is None:
            health.checking = asyncio.ensure_future(self._test(zone, version))
        await asyncio.shield(health.checking)

    async def _test(self, zone: str, version: int) -> None:
        resolver = self._resolver
        try:
            listed, unlisted = await asyncio.gather(
                resolver.ipv4(question(TEST_LISTED[version], zone)),
                resolver.ipv4(question(TEST_UNLISTED[version], zone)),
            )
            self._found(zone, version, fault_of(listed, unlisted, version))
        finally:
            self._health[zone, version].checking = None

    def _found(self, zone: str, version: int, fault: str) -> None:
        if self._closed:
            return
        health = self._health[zone, version]
        health.checked, health.fault = self._clock.monotonic(), fault
        told = f"list-off:{zone}:{version}"
        was_off = self._tally.recall(told) is not None
        if fault:
            self._tally.remember(told, _TOLD)
            if not was_off:
                self._events.emit(ListOff(zone=zone, family=f"IPv{version}", reason=fault))
        elif was_off:
            self._tally.forget(told)
            self._events.emit(ListOn(zone=zone, family=f"IPv{version}"))
