"""The MTA-STS policy that holds for a domain now (RFC 8461 §3, §5.1).

Rules
1. A policy in force is never weakened by somebody who stops the DNS or the web server: what was fetched holds until its
   `max_age` is over, whether the record is still there or not.
2. It is fetched when the record's id is not the one we know, and anew when half its time is over or `REFRESH` has
   passed. A fetch that fails is not repeated for `PAUSE` seconds (§3.3): others' web servers are not ours to storm.
3. Without a record and without a policy that was fetched before there is none, and a fetch that fails is no policy
   either (§5.1): the first contact is a matter of trust, which DANE does not need.

Called by `routing`, once a road.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ekiden.policy.mta_sts import StsPolicy, parse_policy, parse_record
from ekiden.ports.clock import Clock
from ekiden.ports.resolver import Resolver
from ekiden.ports.sts import FetchFailed, PolicyFetcher, StsEntry, StsMemory

#: RFC 8461 §3.3 advises a day between looks at a policy that has not changed.
REFRESH: Final = 86_400.0
#: RFC 8461 §3.3: at least 5 minutes after a failure.
PAUSE: Final = 300.0
#: Domains whose fetch failed that are remembered; beyond it the memory starts anew.
MOST_FAILED: Final = 10_000


class StsPolicies:
    """One a configuration. `failed`: told of a domain and why its policy could not be had."""

    def __init__(
        self,
        resolver: Resolver,
        fetcher: PolicyFetcher,
        memory: StsMemory,
        clock: Clock,
        failed: Callable[[str, str], None],
    ) -> None:
        self._resolver = resolver
        self._fetcher = fetcher
        self._memory = memory
        self._clock = clock
        self._failed = failed
        self._not_before: dict[str, float] = {}

    async def policy(self, domain: str) -> StsPolicy | None:
        """`domain`: in key form. None: none is in force. Never raises but for cancellation."""
        entry = await self._memory.find(domain)
        known = self._valid(entry)
        record = parse_record((await self._resolver.txt(f"_mta-sts.{domain}")).texts)
        if record and self._is_due(record, entry, known) and self._may_fetch(domain):
            known = await self._fetch(domain, record) or known
        if entry is not None and known is None:
            await self._memory.forget(domain)
        return known if known is not None and known.mode != "none" else None

    def _valid(self, entry: StsEntry | None) -> StsPolicy | None:
        """The policy of an entry whose time is not over. A clock that went back prolongs nothing beyond `max_age`."""
        if entry is None:
            return None
        try:
            policy = parse_policy(entry.policy)
        except ValueError:  # written by another version
            return None
        return policy if abs(self._clock.now() - entry.fetched) < policy.max_age else None

    def _is_due(self, record: str, entry: StsEntry | None, known: StsPolicy | None) -> bool:
        if entry is None or known is None or entry.id != record:
            return True
        return self._clock.now() - entry.fetched >= min(REFRESH, known.max_age / 2)

    def _may_fetch(self, domain: str) -> bool:
        return self._not_before.get(domain, 0.0) <= self._clock.monotonic()

    async def _fetch(self, domain: str, record: str) -> StsPolicy | None:
        try:
            octets = await self._fetcher.fetch(domain)
            policy = parse_policy(octets)
        except (FetchFailed, ValueError) as error:
            if len(self._not_before) >= MOST_FAILED:
                self._not_before.clear()
            self._not_before[domain] = self._clock.monotonic() + PAUSE
            self._failed(domain, str(error))
            return None
        self._not_before.pop(domain, None)
        await self._memory.put(domain, StsEntry(record, octets, self._clock.now()))
        return policy
