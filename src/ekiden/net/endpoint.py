"""Socket addresses as the rooms see them: `Endpoint`s, with IPv4-mapped IPv6 turned into IPv4 (invariant 3)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from ekiden.ports.wire import Endpoint

NOWHERE: Final = Endpoint("", 0)


def endpoint(name: object) -> Endpoint:
    """From `getsockname` or `getpeername`: a tuple for IP, text or octets for a Unix socket (which gives ('', 0))."""
    if not isinstance(name, tuple):
        return NOWHERE
    return Endpoint(_plain(name[0]), name[1])


@lru_cache(maxsize=4096)
def _plain(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host)
    return str(address.ipv4_mapped or address)
