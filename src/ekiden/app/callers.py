"""CallersDesk: who calls on port 25, for one configuration: `session.callers` with a resolver of its own.

Strangers decide how many questions it is asked; so it shares neither places nor cache with the resolver that delivery
asks, and has less patience. Made by `app.compose`.
"""

from __future__ import annotations

import asyncio

from ekiden.config.model import Config
from ekiden.net.resolver import DnsResolver
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.tally import Tally
from ekiden.session.blocklists import Blocklists
from ekiden.session.callers import Callers


class CallersDesk:
    """`start` when the configuration is in use, `close` when it is no more."""

    def __init__(self, config: Config, clock: Clock, tally: Tally, events: EventSink) -> None:
        within = min(config.callers.timeout, config.dns.timeout)
        self._resolver = DnsResolver(config.dns.nameservers, within=within, clock=clock)
        self._lists = Blocklists(config.dnsbl, self._resolver, clock, tally, events)
        self.callers = Callers(config, self._resolver, self._lists, tally, clock, events)
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._lists.entries:
            self._watch = asyncio.get_running_loop().create_task(self._lists.watch(asyncio.sleep))

    async def close(self) -> None:
        """Sessions that began with it go on: what they ask from now on is not known."""
        self._lists.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._resolver.close()
