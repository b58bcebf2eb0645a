"""Trusted networks: who may relay without a login because of the address he comes from. Pure.

Rules
1. An entry that is too wide needs `wide = true`: a typing error there makes an open relay (invariant 3). Too wide is
   more than a /16 (IPv4) or a /48 (IPv6), and what carries more than a /16 of IPv4 within IPv6 (NAT64: RFC 6052 §2.1).
2. So does a range with an address behind which many clients may stand (`SharedAddress`): the gateway of a container.
   Whoever comes by a published port may have that address, so trusting it is trusting the world.
3. The default gateway's own address is never trusted through a range, however it is written: what is masqueraded
   comes from there. It is trusted only when it is listed itself, as one address.
4. A proxy before the door is never trusted by its own address, only the client that its PROXY header names: else all
   clients that it names not (health checks, `UNKNOWN`) would be.
5. IPv4-mapped IPv6 counts as the IPv4 address it carries.

Called by the check of the configuration, by the doorways (once a connection) and by the self-attack.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ekiden.config.model import WideNetwork
from ekiden.policy.networks import IpNetwork, NetworkSet, parse_address

WIDEST_IPV4: Final = 16
WIDEST_IPV6: Final = 48
#: RFC 6052 §2.1: the well-known prefix, whose last 32 bits are an IPv4 address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class SharedAddress(NamedTuple):
    """`what`: for people, such as "the gateway of docker0"."""

    address: str
    what: str


class Neighbourhood(NamedTuple):
    """What this machine's own network says. `gateways`: addresses of the default gateways. `shared`: those behind which
    many clients may stand."""

    gateways: frozenset[str] = frozenset()
    shared: tuple[SharedAddress, ...] = ()


def is_wide(network: IpNetwork) -> bool:
    """Rule 1."""
    if isinstance(network, ipaddress.IPv4Network):
        return network.prefixlen < WIDEST_IPV4
    if network.subnet_of(_NAT64):
        return network.prefixlen - _NAT64.prefixlen < WIDEST_IPV4
    return network.prefixlen < WIDEST_IPV6


def net_of(entry: str | WideNetwork) -> str:
    """As written."""
    return entry if isinstance(entry, str) else entry.net


def shared_within(entry: str | WideNetwork, neighbourhood: Neighbourhood) -> SharedAddress | None:
    """Rule 2: what speaks against a range that is not written as wide; None for one address alone."""
    network = ipaddress.ip_network(net_of(entry), strict=False)
    if network.num_addresses == 1 or (isinstance(entry, WideNetwork) and entry.wide):
        return None
    return next((one for one in neighbourhood.shared if parse_address(one.address) in network), None)


def shared_alone(entry: str | WideNetwork, neighbourhood: Neighbourhood) -> SharedAddress | None:
    """An entry that is such an address itself: meant, one hopes."""
    network = ipaddress.ip_network(net_of(entry), strict=False)
    if network.num_addresses > 1:
        return None
    return next((one for one in neighbourhood.shared if parse_address(one.address) == network[0]), None)


def is_everybody(entry: str | WideNetwork) -> bool:
    """A default route: the whole of IPv4 or IPv6."""
    return ipaddress.ip_network(net_of(entry), strict=False).prefixlen == 0


class TrustedNetworks:
    """`[relay] trusted_networks` as the doors ask it. Immutable. `gateways`: rule 3; `proxies`: rule 4."""

    __slots__ = ("_alone", "_gateways", "_proxies", "_ranges")

    def __init__(
        self, entries: Iterable[str | WideNetwork], gateways: Iterable[str] = (), proxies: Iterable[str] = ()
    ) -> None:
        networks = [ipaddress.ip_network(net_of(entry), strict=False) for entry in entries]
        self._alone = NetworkSet(str(network) for network in networks if network.num_addresses == 1)
        self._ranges = NetworkSet(str(network) for network in networks if network.num_addresses > 1)
        self._gateways = frozenset(map(parse_address, gateways))
        self._proxies = NetworkSet(proxies)

    def __contains__(self, address: str) -> bool:
        if address in self._proxies:
            return False
        return address in self._alone or (
            address in self._ranges and (not self._gateways or parse_address(address) not in self._gateways)
        )

    def __bool__(self) -> bool:
        return bool(self._alone) or bool(self._ranges)


def entries_with(entries: Sequence[str | WideNetwork], address: str) -> list[int]:
    """Which entries hold `address`, by index, the gateway rule left aside: for people who look for the culprit."""
    plain = parse_address(address)
    networks = (ipaddress.ip_network(net_of(entry), strict=False) for entry in entries)
    return [index for index, network in enumerate(networks) if plain is not None and plain in network]
