"""Source addresses: from which of our addresses a connection goes out, and what we call ourselves there. Pure.

Rules
1. `source` of a route, else of the site, else of `[delivery]`; the first of them that is given decides alone.
2. Of its addresses the first of the family of the host is taken; none of that family: the system chooses, and we are
   called by our hostname.
3. A `[[source]]` says by which name an address is known: the one that its reverse DNS gives and that leads back to it.
   Other servers compare the three. Without one the hostname stands in EHLO.

Called by delivery's routing, once a road.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ekiden.config.model import Config
from ekiden.policy.networks import parse_address


class Source(NamedTuple):
    """`address`: '' for what the system chooses. `helo`: our name there, '' for the hostname. `said_by`: the key that
    names it, for people."""

    address: str = ""
    helo: str = ""
    said_by: str = ""


class Given(NamedTuple):
    """A `source` of the configuration. `said_by`: where it stands, for people."""

    addresses: Sequence[str]
    said_by: str


def is_ipv6(address: str) -> bool:
    return ":" in address


class Sources:
    """Those of one configuration."""

    def __init__(self, config: Config) -> None:
        self._names = {_plain(source.address): source.helo for source in config.source if source.helo}
        self._usual = Given(config.delivery.source, "[delivery] source")

    def choose(self, towards: str, *given: Given) -> Source:
        """`towards`: the address of the host, '' for a Unix socket. `given`: those that come before `[delivery]`."""
        if not towards:
            return Source()
        chosen = next((one for one in (*given, self._usual) if one.addresses), self._usual)
        for address in chosen.addresses:
            if is_ipv6(address) == is_ipv6(towards):
                return Source(address, self._names.get(_plain(address), ""), chosen.said_by)
        return Source()


def _plain(address: str) -> str:
    return str(parse_address(address) or address)
