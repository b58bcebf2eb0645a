"""What must hold in `[doors.NAME]`: that the networks are networks, and what they shut out that nobody meant to.

`check_door_rules` reports errors (called by `app.config_rules`); `door_findings` tells what works but surprises (called
by `app.config_check`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import parse_network
from ekiden.config.model import Config, WideNetwork
from ekiden.model.door import DOORS, Door
from ekiden.policy.networks import IpNetwork

#: Who is listed may name any client, a trusted one too: so a wider network of proxies is a mistake.
WIDEST_PROXIES: Final = {4: 24, 6: 64}


def check_door_rules(config: Config, report: Report) -> None:
    for door in Door:
        rules = config.doors.of(door)
        for key in ("allow", "deny"):
            for index, text in enumerate(getattr(rules, key)):
                report.accepts(("doors", door.value, key, index), parse_network, text)
        for index, text in enumerate(rules.proxies):
            report.accepts(("doors", door.value, "proxies", index), _parse_proxies, text)


def door_findings(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Of a configuration without errors: (key, what will surprise)."""
    for door in Door:
        rules, path = config.doors.of(door), ("doors", door.value)
        if (rules.allow or rules.deny or rules.proxies) and not config.listen.addresses(door):
            yield path, f"has no effect: [listen] {door.value} names no address, so the door is closed"
            continue
        if rules.allow:
            yield (*path, "allow"), _allowed_only(door)
        denied = [ipaddress.ip_network(text, strict=False) for text in rules.deny]
        for index, text in enumerate(rules.allow):
            if _lies_in(ipaddress.ip_network(text, strict=False), denied):
                yield (*path, "allow", index), f'"{text}" has no effect: deny names all of it, and deny comes first'
    yield from _trusted_proxies(config)


def _allowed_only(door: Door) -> str:
    if not DOORS[door].login:
        return (
            "is set, so other mail servers cannot bring mail to us; without a filter before us that may, no mail from "
            "outside comes in"
        )
    return "is set, so people can use this door from these networks only, not from elsewhere (phones, hotels)"


def _trusted_proxies(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Behind a proxy only the client's address can be trusted: else everybody would be."""
    trusted = [
        ipaddress.ip_network(entry.net if isinstance(entry, WideNetwork) else entry, strict=False)
        for entry in config.relay.trusted_networks
    ]
    for index, text in enumerate(config.doors.relay.proxies):
        if any(network.overlaps(ipaddress.ip_network(text, strict=False)) for network in trusted):
            message = f'"{text}" is in trusted_networks, too; a proxy is never trusted itself, only the client it names'
            yield ("doors", "relay", "proxies", index), message


def _lies_in(network: IpNetwork, others: list[IpNetwork]) -> bool:
    return any(
        network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]
        for other in others
    )


def _parse_proxies(text: str) -> None:
    network = parse_network(text)
    widest = WIDEST_PROXIES[network.version]
    if network.prefixlen < widest:
        raise ValueError(
            f'"{text}" is wider than /{widest}: whoever is in it could say that it speaks for any address; list the '
            "addresses of the proxies"
        )
