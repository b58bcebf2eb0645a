"""Sets of networks: is this client one of `trusted_networks`?

IPv4-mapped IPv6 addresses count as the IPv4 address they carry (invariant 3); an address that does not parse is in
no set.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=8192)
def parse_address(text: str) -> IpAddress | None:
    """An address without zone; a mapped one as IPv4; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_network(address: str) -> str:
    """Whom a count of strangers goes to: a /24 of IPv4, a /48 of IPv6 (what one customer may have). An address that
    does not parse stands for itself."""
    parsed = parse_address(address)
    if parsed is None:
        return address
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def is_literal_of(domain: str, address: str) -> bool:
    """True if `domain` is the address literal of `address` (RFC 5321 §4.1.3): `[192.0.2.1]`, `[IPv6:2001:db8::1]`."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return False
    inner = domain[1:-1]
    text = inner[5:] if inner[:5].lower() == "ipv6:" else inner
    plain = parse_address(text)
    return plain is not None and plain == parse_address(address)


class NetworkSet:
    """Networks as written in the configuration (already checked there). Immutable."""

    __slots__ = ("_networks", "_seen")

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[IpNetwork, ...] = tuple(ipaddress.ip_network(text, strict=False) for text in networks)
        self._seen: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        known = self._seen.get(address)
        if known is None:
            parsed = parse_address(address)
            known = parsed is not None and any(parsed in network for network in self._networks)
            if len(self._seen) >= 4096:  # strangers must not make it grow
                self._seen.clear()
            self._seen[address] = known
        return known

    def __bool__(self) -> bool:
        return bool(self._networks)
