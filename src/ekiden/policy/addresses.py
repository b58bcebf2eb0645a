"""Special-purpose addresses: where a name from outside may not lead us (invariant 10).

Rules
1. The list is RFC 6890's registry (with its later entries), plus multicast and the reserved rest: nothing in it can be
   a mail host of the public Internet. It is kept here, not taken from the Python library, whose list changes with its
   version.
2. An IPv6 address that carries an IPv4 address (mapped, NAT64) is judged by that one.
3. What is no address at all is special.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from ekiden.policy.networks import NetworkSet, parse_address

_V4: Final = tuple(
    ipaddress.IPv4Network(n)
    for n in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_V6: Final = tuple(
    ipaddress.IPv6Network(n)
    for n in (
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=4096)
def is_special_purpose(address: str) -> bool:
    """True if `address` (text form, no brackets) can be no mail host of the public Internet."""
    plain = parse_address(address)
    if plain is None:
        return True
    if isinstance(plain, ipaddress.IPv6Address):
        if plain not in _NAT64:
            return any(plain in network for network in _V6)
        plain = ipaddress.IPv4Address(int(plain) & 0xFFFF_FFFF)
    return any(plain in network for network in _V4)


def may_connect(address: str, allowed: NetworkSet) -> bool:
    """True if we may connect to `address`, named by someone outside. `allowed`: `[delivery] allow_addresses`."""
    return not is_special_purpose(address) or address in allowed
