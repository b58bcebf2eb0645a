"""What must hold within the `[[site]]` tables. Called by `app.config_rules`."""

from __future__ import annotations

from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_routes import TLS_VALUES
from ekiden.app.config_values import check_domain
from ekiden.config.model import Config, Site
from ekiden.model.mailbox import domain_key
from ekiden.policy.route_match import route_name
from ekiden.policy.target import is_address
from ekiden.ports.slots import MOST_SLOTS

FAMILIES: Final = ("both", "ipv4", "ipv6")
#: More would not be a limit.
MOST_A_MINUTE: Final = 1_000_000
#: Keys that 0 has a meaning for, with what it means.
_ZERO: Final = {
    "connections": "0 is that of [delivery]",
    "connections_per_minute": "0 is no limit",
    "letters_per_minute": "0 is no limit",
}
_ONE: Final = ("letters_per_connection", "recipients_per_transaction")
_MOST: Final = {
    "connections": MOST_SLOTS,
    "connections_per_minute": MOST_A_MINUTE,
    "letters_per_minute": MOST_A_MINUTE,
    "letters_per_connection": MOST_A_MINUTE,
    "recipients_per_transaction": 1000,  # of one letter, RFC 5321 §4.5.3.1.8 and what peers take
}


def check_sites(config: Config, report: Report) -> None:
    routes = {name for route in config.route for name in (route.match, route_name(route))}
    seen: set[str] = set()
    for index, site in enumerate(config.site):
        path: KeyPath = ("site", index)
        if report.is_bad(path):
            continue
        _check_match(site.match, (*path, "match"), report, routes)
        _check_order(site.match, (*path, "match"), report, seen)
        _check_numbers(site, path, report)
        if site.family not in FAMILIES:
            words = ", ".join(f'"{word}"' for word in FAMILIES)
            report.add((*path, "family"), f'"{site.family}" is not known; write one of {words}')
        if site.tls not in TLS_VALUES:
            words = ", ".join(f'"{word}"' for word in TLS_VALUES)
            report.add((*path, "tls"), f'"{site.tls}" is not known; write one of {words}')
        elif site.tls != "opportunistic" and site.match in routes:
            report.add((*path, "tls"), f'"{site.match}" is a [[route]], and its own tls decides; write it there')
    if config.delivery.connections_per_site > MOST_SLOTS:
        report.add(("delivery", "connections_per_site"), f"must be at most {MOST_SLOTS}")


def _check_match(match: str, path: KeyPath, report: Report, routes: set[str]) -> None:
    if match == "*" or match in routes or match.startswith("/") or is_address(match.strip("[]")):
        return
    try:
        check_domain(match.removeprefix("*."))
    except ValueError as error:
        report.add(path, f"{error}; a site is named by a recipient domain, an MX host, or the match of a [[route]]")


def _check_order(match: str, path: KeyPath, report: Report, seen: set[str]) -> None:
    key = domain_key(match)
    if "*" in seen:
        report.add(path, f'"{match}" is never reached: the first match wins, and "*" stands above; put "*" last')
    elif key in seen:
        report.add(path, f'"{match}" has a site above, and the first match wins; leave one out')
    seen.add(key)


def _check_numbers(site: Site, path: KeyPath, report: Report) -> None:
    for key, meaning in _ZERO.items():
        if getattr(site, key) < 0:
            report.add((*path, key), f"must be 0 or more, not {getattr(site, key)}; {meaning}")
    for key in _ONE:
        if getattr(site, key) < 1:
            report.add((*path, key), f"must be 1 or more, not {getattr(site, key)}")
    for key, most in _MOST.items():
        if getattr(site, key) > most:
            report.add((*path, key), f"must be at most {most}, not {getattr(site, key)}")
    if site.retry_factor and site.retry_factor < 1:
        report.add((*path, "retry_factor"), "must be 1 or more, or the pauses would shrink; 0 is that of [delivery]")
