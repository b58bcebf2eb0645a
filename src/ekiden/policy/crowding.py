"""Crowding: has this address, or its network, too many connections at once? Asked once a connection, before it is
greeted.

Rules, in the order in which they are asked (the names are stable; events show them)
1. `exempt`               who speaks for many: a trusted network, a program of this machine (127.0.0.1, ::1: a webmail),
                          a gateway behind which clients share one address.
2. `connections-address`  the address has more than `limits.connections_per_address`.
3. `connections-network`  its network has more than `limits.connections_per_network`: IPv4 /24, IPv6 /56, what providers
                          give to one customer.

A limit of 0 is none. Who is over gets 421 4.7.0 and may come back: it is no ban. Besides, the worker as a whole has a
limit (`room_of`). Called by `session.crowd`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple

from ekiden.config.model import Config
from ekiden.model.decision import Decision, Verdict
from ekiden.model.door import Door
from ekiden.model.reply import Reply
from ekiden.policy.guards import CONNECTIONS_ADDRESS, CONNECTIONS_NETWORK
from ekiden.policy.networks import NetworkSet, parse_address
from ekiden.policy.trusted import Neighbourhood, net_of

IPV6_BITS: Final = 56
#: Programs of this machine.
OWN: Final = ("127.0.0.1/32", "::1/128")
#: The part of all connections that is kept for those who send.
RESERVE: Final = 10
_RESERVED_FOR: Final = frozenset({Door.SUBMISSION, Door.SUBMISSIONS})

FROM_ADDRESS: Final = Reply(421, "4.7.0", "Too many connections from your address, please try again later")
FROM_NETWORK: Final = Reply(421, "4.7.0", "Too many connections from your network, please try again later")


class CrowdFacts(NamedTuple):
    """Connections now, this one included, and the limits. `exempt`: the client's address is."""

    exempt: bool
    address: int
    network: int
    per_address: int
    per_network: int


def decide_connection(facts: CrowdFacts) -> Decision:
    if facts.exempt:
        return _EXEMPT
    if 0 < facts.per_address < facts.address:
        reason = f"{facts.address} connections from one address, {facts.per_address} are allowed"
        return Decision(Verdict.DEFER, CONNECTIONS_ADDRESS.name, reason, FROM_ADDRESS)
    if 0 < facts.per_network < facts.network:
        reason = f"{facts.network} connections from one network, {facts.per_network} are allowed"
        return Decision(Verdict.DEFER, CONNECTIONS_NETWORK.name, reason, FROM_NETWORK)
    return _ROOM


_EXEMPT: Final = Decision(Verdict.ACCEPT, "exempt", "it speaks for many")
NOT_COUNTED: Final = Decision(Verdict.ACCEPT, "room", "connections are not counted")
_ROOM: Final = Decision(Verdict.ACCEPT, "room", "not too many connections")


def exempt(config: Config, neighbourhood: Neighbourhood) -> NetworkSet:
    """Rule 1. Being counted protects us less than being refused would harm them; the worker's own limit holds."""
    return NetworkSet(_many(config, neighbourhood))


def unbannable(config: Config, neighbourhood: Neighbourhood) -> NetworkSet:
    """Whom no guard bans: those, and listed proxies, which speak for everybody."""
    proxies = (proxy for door in Door for proxy in config.doors.of(door).proxies)
    return NetworkSet([*_many(config, neighbourhood), *proxies])


def _many(config: Config, neighbourhood: Neighbourhood) -> list[str]:
    trusted = (net_of(entry) for entry in config.relay.trusted_networks)
    shared = (entry.address for entry in neighbourhood.shared)
    return [*OWN, *trusted, *neighbourhood.gateways, *shared]


def room_of(door: Door, sessions: int) -> int:
    """How many connections a worker may have, at all doors, for one more to come in at this door."""
    return sessions if door in _RESERVED_FOR else sessions - sessions // RESERVE


@lru_cache(maxsize=4096)
def crowd_network(address: str) -> str:
    """What counts as one network; the address itself if it is no IP address."""
    parsed = parse_address(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed).rpartition(".")[0] + ".0/24"
    return str(ipaddress.ip_network((parsed, IPV6_BITS), strict=False))
