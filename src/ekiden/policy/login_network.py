"""The network that a client's login counts for: IPv4 /24, IPv6 /48.

A provider gives a customer another address of the same /24 or /48 tomorrow; an attacker has few of them near any one
victim. Called by `accounts.login`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from ekiden.policy.networks import parse_address

IPV4_BITS: Final = 24
IPV6_BITS: Final = 48


@lru_cache(maxsize=8192)  # asked for each letter of a login; 12 µs without
def login_network(client: str) -> str:
    """CIDR form, such as '192.0.2.0/24'; a mapped IPv4 address counts as IPv4; '' if `client` is no IP address."""
    address = parse_address(client)
    if address is None:
        return ""
    bits = IPV4_BITS if isinstance(address, ipaddress.IPv4Address) else IPV6_BITS
    return str(ipaddress.ip_network((address, bits), strict=False))
