"""What must hold of source addresses: `[[source]]`, and `source` of `[delivery]`, `[[route]]` and `[[site]]`.

Called by `app.config_rules`; whether this machine has the addresses is looked at by `app.config_check`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import check_host_name
from ekiden.config.model import Config


def check_sources(config: Config, report: Report) -> None:
    named: set[str] = set()
    for where, addresses in source_lists(config):
        _check_list(addresses, where, report)
    for index, source in enumerate(config.source):
        path: KeyPath = ("source", index)
        if report.is_bad(path) or not report.accepts((*path, "address"), check_source, source.address):
            continue
        if source.address in named:
            report.add((*path, "address"), f'"{source.address}" is there twice; leave one out')
        named.add(source.address)
        if source.helo:
            report.accepts((*path, "helo"), check_host_name, source.helo)


def source_lists(config: Config) -> Iterator[tuple[KeyPath, tuple[str, ...]]]:
    """Every `source`, with where it stands."""
    yield ("delivery", "source"), config.delivery.source
    yield ("delivery", "detour", "source"), config.delivery.detour.source
    for index, route in enumerate(config.route):
        yield ("route", index, "source"), route.source
    for index, site in enumerate(config.site):
        yield ("site", index, "source"), site.source


def check_source(text: str) -> None:
    """An address to send from, in the one spelling that is compared."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'"{text}" is no IP address; write "192.0.2.1" or "2001:db8::1", without a port') from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            raise ValueError(f'"{text}" is IPv4 written as IPv6; write "{address.ipv4_mapped}"')
        if address.scope_id:
            raise ValueError(f'"{text}" is of one link only; nobody outside it could answer')
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f'"{text}" is no address of one machine; leave source out for what the system chooses')
    if text != str(address):
        raise ValueError(f'"{text}": write "{address}"')


def _check_list(addresses: tuple[str, ...], path: KeyPath, report: Report) -> None:
    families: dict[bool, str] = {}
    for index, text in enumerate(addresses):
        if not report.accepts((*path, index), check_source, text):
            continue
        first = families.setdefault(":" in text, text)
        if first != text or addresses.index(text) != index:
            report.add((*path, index), f'"{text}" would never be used: "{first}" stands before it in its family')
