"""Banning by hand, behind every face (CLI, later the console).

Rules
1. A network is an address or a CIDR with its host bits zero; what would be wider than a /8 (IPv6: /16), and what holds
   this machine's own 127.0.0.1 or ::1 or a listed proxy, is refused: all logins would end with it.
2. What was done is durable on return, holds in every worker within a second, and an event says who did it. Whose
   connections are banned is cut off.

Called by `cli.bans`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from ekiden.config.model import Config
from ekiden.model.door import Door
from ekiden.model.events import BanLifted, BanSet
from ekiden.policy.banning import overlaps
from ekiden.policy.crowding import OWN
from ekiden.policy.networks import IpNetwork
from ekiden.ports.bans import LIFTED, Ban, Bans
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink

_WIDEST: Final = {4: 8, 6: 16}


class NoSuchNetwork(Exception):
    """`str()` is a sentence: what was wrong, what would be right."""


class NotBanned(Exception):
    """`str()` is a sentence."""


class BanDesk:
    """`by`: who acts."""

    def __init__(self, bans: Bans, sink: EventSink, clock: Clock, config: Config, *, by: str) -> None:
        self._bans = bans
        self._sink = sink
        self._clock = clock
        self._config = config
        self._by = by

    async def list(self) -> Sequence[Ban]:
        """Those that last, the newest first. Raises BansFailed."""
        now = self._clock.now()
        return sorted((ban for ban in await self._bans.all() if ban.lasts(now)), key=lambda ban: -ban.since)

    async def add(self, text: str, seconds: float | None = None, reason: str = "") -> Ban:
        """For so long; None: until it is lifted. Raises NoSuchNetwork, BansFailed."""
        network = network_of(text)
        if network.prefixlen < _WIDEST[network.version]:
            raise NoSuchNetwork(f"{text} is too wide: at most a /{_WIDEST[network.version]}")
        if found := overlaps(network, OWN):
            raise NoSuchNetwork(f"{text} holds {found.partition('/')[0]}, this machine itself; name what is beside it")
        if found := overlaps(network, [proxy for door in Door for proxy in self._config.doors.of(door).proxies]):
            raise NoSuchNetwork(f"{text} holds {found}, a listed proxy: everybody behind it would be banned")
        now = self._clock.now()
        ban = Ban(str(network), now, None if seconds is None else now + seconds, self._by, reason)
        await self._bans.put(ban)
        self._sink.emit(BanSet(network=ban.network, by=self._by, until=ban.until or 0.0, reason=reason))
        return ban

    async def remove(self, text: str) -> Ban:
        """What was lifted. Raises NoSuchNetwork, NotBanned, BansFailed."""
        network, now = str(network_of(text)), self._clock.now()
        ban = await self._bans.find(network)
        if ban is None or not ban.lasts(now):
            raise NotBanned(await self._not_banned(network, now))
        await self._bans.put(ban._replace(since=now, until=LIFTED))
        self._sink.emit(BanLifted(network=network, by=self._by))
        return ban

    async def _not_banned(self, network: str, now: float) -> str:
        """Names the wider ban that was meant."""
        bans = [ban.network for ban in await self._bans.all() if ban.lasts(now)]
        wider = overlaps(ipaddress.ip_network(network), bans)
        hint = f"it is part of {wider}, which is" if wider else "`ekiden ban list` shows what is"
        return f"{network} is not banned; {hint}"


def network_of(text: str) -> IpNetwork:
    """An IPv4-mapped address means the IPv4 address. Raises NoSuchNetwork."""
    text = text.strip()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise NoSuchNetwork(f"{text!r} is no address and no network, such as 192.0.2.1 or 2001:db8:1::/48") from None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    if "/" in text and str(network.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise NoSuchNetwork(f"{text} has host bits set; did you mean {network}?")
    return network
