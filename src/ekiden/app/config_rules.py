"""What must hold within a configuration, beyond the types of its keys. Nothing here looks outside the file.

Each rule reports at the key that a person would change, and says what would be right. Called by `app.config_file`; what
needs the machine (certificates, folders, ports) is in `app.config_check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_sites import check_sites
from ekiden.app.config_values import check_domain, check_host_name, check_target, parse_network
from ekiden.config.model import Config, Route, Section, WideNetwork
from ekiden.model.door import DOORS, Door
from ekiden.model.mailbox import domain_key

TLS_VALUES: Final = ("none", "opportunistic", "require", "verify")
_RECIPIENTS: Final = '"accounts", "list:FILE", "callahead" or "any"'
_ZERO_ALLOWED: Final = frozenset({("workers",), ("limits", "priority")})
#: More processes than this help nobody: two saturate one queue file (DESIGN §4).
MOST_WORKERS: Final = 256
#: RFC 6710 §6.
MOST_PRIORITY: Final = 9


def check_rules(config: Config, raw: Mapping[str, Any], report: Report) -> None:
    """`raw`: the tables as written, to tell a default from a choice."""
    _check_numbers(config, (), report)
    _check_names(config, report)
    _check_doors(config, report)
    _check_networks(config, report)
    _check_domains(config, raw, report)
    for index, route in enumerate(config.route):
        _check_route(route, ("route", index), report)
    _check_duplicate_routes(config, report)
    check_sites(config, report)


def _try(report: Report, path: KeyPath, check: Callable[[str], object], value: str) -> bool:
    if report.is_bad(path):
        return False
    try:
        check(value)
    except ValueError as error:
        report.add(path, str(error))
        return False
    return True


def _check_numbers(section: Section, path: KeyPath, report: Report) -> None:
    for name in section.__struct_fields__:
        value, here = getattr(section, name), (*path, name)
        if isinstance(value, Section):
            _check_numbers(value, here, report)
        elif isinstance(value, int | float) and not isinstance(value, bool) and _too_small(value, here):
            report.add(here, f"must be more than 0, not {value}")
    if isinstance(section, Config):
        if section.workers > MOST_WORKERS:
            report.add(("workers",), f"must be at most {MOST_WORKERS}, not {section.workers}; 0 is the number of CPUs")
        if section.delivery.retry_factor < 1:
            report.add(("delivery", "retry_factor"), "must be 1 or more, or the pauses would shrink")
        if section.limits.priority > MOST_PRIORITY:
            report.add(("limits", "priority"), f"must be at most {MOST_PRIORITY}, not {section.limits.priority}")
        if section.delivery.mx_port > 65535:
            report.add(("delivery", "mx_port"), "must be a port from 1 to 65535")


def _too_small(value: float, path: KeyPath) -> bool:
    return value < 0 or (value == 0 and path not in _ZERO_ALLOWED)


def _check_names(config: Config, report: Report) -> None:
    _try(report, ("hostname",), check_host_name, config.hostname)
    if not config.data_dir:
        report.add(("data_dir",), 'must name a folder, such as "/var/lib/ekiden"')
    if not config.postmaster:
        return
    local, _, domain = config.postmaster.rpartition("@")
    ours = {domain_key(entry.name) for entry in config.domain}
    if not local:
        report.add(("postmaster",), f'"{config.postmaster}" is no address; write "you@example.org"')
    elif domain_key(domain) not in ours:
        report.add(("postmaster",), f'must be an account of ours, but "{domain}" is none of the [[domain]] names')


def _check_doors(config: Config, report: Report) -> None:
    taken: dict[str, str] = {}
    for door in Door:
        for index, address in enumerate(config.listen.addresses(door)):
            path = ("listen", door.value, index)
            if address in taken and not address.endswith(":0"):
                report.add(path, f'"{address}" is already the address of {taken[address]}')
            taken.setdefault(address, f"listen.{door.value}")
        if config.listen.addresses(door) and DOORS[door].login and not config.tls.certificate:
            report.add(
                ("listen", door.value),
                f"people log in at the {door.value} door, so it needs TLS: set certificate and private_key in [tls]",
            )
    if config.tls.certificate and not config.tls.private_key:
        report.add(("tls", "private_key"), "is missing: a certificate needs its key")
    if config.tls.private_key and not config.tls.certificate:
        report.add(("tls", "certificate"), "is missing: a key needs its certificate")


def _check_networks(config: Config, report: Report) -> None:
    for index, entry in enumerate(config.relay.trusted_networks):
        path: KeyPath = ("relay", "trusted_networks", index)
        text, wide = (entry.net, entry.wide) if isinstance(entry, WideNetwork) else (entry, False)
        _try(report, path, partial(parse_network, wide=wide), text)
    for index, text in enumerate(config.delivery.allow_addresses):
        _try(report, ("delivery", "allow_addresses", index), parse_network, text)


def _check_domains(config: Config, raw: Mapping[str, Any], report: Report) -> None:
    seen: dict[str, str] = {}
    written = raw.get("domain", ())
    for index, domain in enumerate(config.domain):
        path: KeyPath = ("domain", index)
        if report.is_bad(path) or not _try(report, (*path, "name"), check_domain, domain.name):
            continue
        key = domain_key(domain.name)
        if key in seen:
            report.add((*path, "name"), f'"{domain.name}" is there twice (also as "{seen[key]}"); leave one out')
        seen.setdefault(key, domain.name)
        routed = _is_routed(config, key)
        if routed and "recipients" not in written[index]:
            report.add(
                path,
                f'"{domain.name}" goes to another server by a [[route]], so say how its recipients are known: '
                f"recipients = {_RECIPIENTS}",
            )
        _check_recipients(domain.recipients, (*path, "recipients"), report, routed=routed)


def _is_routed(config: Config, key: str) -> bool:
    """By name: "*" alone is a smarthost for what is not ours."""
    return any(
        domain_key(route.match) == key or (route.match.startswith("*.") and key.endswith(domain_key(route.match[1:])))
        for route in config.route
    )


def _check_recipients(recipients: str, path: KeyPath, report: Report, *, routed: bool) -> None:
    if recipients.startswith("list:"):
        if not recipients[5:]:
            report.add(path, 'lacks the file: write "list:FILE"')
    elif recipients == "callahead":
        if not routed:
            report.add(path, '"callahead" asks the server of a [[route]], and no route names this domain')
    elif recipients not in ("accounts", "any"):
        report.add(path, f'"{recipients}" is not known; write {_RECIPIENTS}')


def _check_route(route: Route, path: KeyPath, report: Report) -> None:
    if route.match != "*":
        _try(report, (*path, "match"), check_domain, route.match.removeprefix("*."))
    targets = [to for index, to in enumerate(route.to) if _try(report, (*path, "to", index), check_target, to)]
    if not route.to:
        report.add((*path, "to"), "must name one target at least, such as smtp://mail.example.org:25")
    if route.tls and route.tls not in TLS_VALUES:
        values = ", ".join(f'"{value}"' for value in TLS_VALUES)
        report.add((*path, "tls"), f'"{route.tls}" is not known; write one of {values}')
    if route.tls == "none" and any(to.lower().startswith("smtps:") for to in targets):
        report.add((*path, "tls"), 'contradicts smtps://, which is TLS from the first byte; leave tls = "none" out')
    _check_login(route, path, report)


def _check_login(route: Route, path: KeyPath, report: Report) -> None:
    has_password = route.password_file or route.password_env
    if route.username and not has_password:
        report.add((*path, "username"), "lacks its password: set password_file or password_env")
    if has_password and not route.username:
        key = "password_file" if route.password_file else "password_env"
        report.add((*path, key), "is there without a username")
    if route.password_file and route.password_env:
        report.add((*path, "password_env"), "is there beside password_file; leave one out")
    if route.username and route.tls not in ("", "verify") and not route.allow_unverified_login:
        report.add(
            (*path, "tls"),
            f'tls = "{route.tls}" would send the password to a server that has not proven its name; '
            'write tls = "verify", or allow_unverified_login = true for a server on this machine or in a lab',
        )


def _check_duplicate_routes(config: Config, report: Report) -> None:
    seen: set[str] = set()
    for index, route in enumerate(config.route):
        key = domain_key(route.match)
        if key in seen:
            report.add(("route", index, "match"), f'"{route.match}" has a route above, and the first match wins')
        seen.add(key)
