"""What must hold within the `[[restrict]]` tables. Called by `app.config_rules`."""

from __future__ import annotations

from collections.abc import Collection

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import check_domain, parse_network
from ekiden.config.model import Config, Restrict
from ekiden.policy.limits import profiles_of
from ekiden.policy.route_match import ANY


def check_restrictions(config: Config, report: Report) -> None:
    seen: set[str] = set()
    profiles = profiles_of(config)
    for index, entry in enumerate(config.restrict):
        path: KeyPath = ("restrict", index)
        if report.is_bad(path):
            continue
        if not entry.name or not entry.name.isprintable() or len(entry.name) > 60:
            report.add((*path, "name"), f'"{entry.name}" is no name; senders read it, so write a few words')
        elif entry.name in seen:
            report.add((*path, "name"), f'"{entry.name}" is there twice; leave one out')
        seen.add(entry.name)
        if not entry.allow and not entry.deny:
            report.add(path, 'forbids nothing: write deny = ["example.org"], or allow for the only domains there are')
        _check_domains(entry, path, report)
        _check_senders(entry, path, report, profiles)


def _check_domains(entry: Restrict, path: KeyPath, report: Report) -> None:
    for key in ("allow", "deny"):
        for number, pattern in enumerate(getattr(entry, key)):
            if pattern != ANY:
                report.accepts((*path, key, number), _check_pattern, pattern)


def _check_senders(entry: Restrict, path: KeyPath, report: Report, profiles: Collection[str]) -> None:
    for number, address in enumerate(entry.account):
        if address != ANY and not all(address.rpartition("@")[::2]):
            report.add((*path, "account", number), f'"{address}" is no account; write "you@example.org" or "*"')
    for number, profile in enumerate(entry.profile):
        if profile not in profiles:
            message = f'"{profile}" is no [[profile]]; there are {", ".join(profiles)}'
            report.add((*path, "profile", number), message)
    for number, network in enumerate(entry.network):
        report.accepts((*path, "network", number), parse_network, network)


def _check_pattern(pattern: str) -> None:
    check_domain(pattern.removeprefix("*."))
