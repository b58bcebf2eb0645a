"""Does the SPF record of our domains name the detour's server? As much as can be told at small cost.

Receivers judge the address that a letter comes from, which is then the provider's. Which addresses it sends from only
the provider knows, so this looks for its name: `include:`, `redirect=`, `a:` or `mx:` of its domain, or an `ip4:`,
`ip6:` that holds the address of its submission host. A domain without an SPF record lacks nothing. It is a hint for
people; nothing is decided by it (RFC 7208 §4.6.4 and all the rest is left to receivers).

Called by `road_watch`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from ekiden.config.model import Config
from ekiden.policy.road_block import domain_of
from ekiden.policy.target import is_address, parse_target
from ekiden.ports.resolver import Resolver

#: Domains of ours that are looked at.
MOST_DOMAINS: Final = 20
_BY_NAME: Final = ("include:", "redirect=", "a:", "mx:", "exists:")


async def lacks_detour(resolver: Resolver, config: Config) -> list[str]:
    """Domains whose SPF record does not seem to allow the detour; [] without a detour."""
    hosts = [parse_target(to).host for to in config.delivery.detour.to]
    if not hosts:
        return []
    addresses = [host for host in hosts if is_address(host)]
    for host in hosts:
        if not is_address(host):
            addresses += (await resolver.addresses(host)).addresses
    lacking: list[str] = []
    for domain in config.domain[:MOST_DOMAINS]:
        texts = (await resolver.txt(domain.name)).texts
        record = next((text.decode("ascii", "replace").lower() for text in texts if is_spf(text)), "")
        if record and not names_server(record, hosts, addresses):
            lacking.append(domain.name)
    return lacking


def is_spf(text: bytes) -> bool:
    """RFC 7208 §4.5."""
    return text.lower() == b"v=spf1" or text.lower().startswith(b"v=spf1 ")


def names_server(record: str, hosts: Sequence[str], addresses: Sequence[str]) -> bool:
    """`record`: in lower case."""
    domains = {domain_of(host) for host in hosts if not is_address(host)}
    for term in record.split()[1:]:
        mechanism = term.removeprefix("+")
        if mechanism == "all":
            return True
        for start in _BY_NAME:
            if mechanism.startswith(start) and domain_of(mechanism.removeprefix(start).partition("/")[0]) in domains:
                return True
        if mechanism.startswith(("ip4:", "ip6:")) and _holds(mechanism[4:], addresses):
            return True
    return False


def _holds(network: str, addresses: Sequence[str]) -> bool:
    try:
        parsed = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return any(ipaddress.ip_address(address) in parsed for address in addresses)
