"""What must hold within the `[[route]]` tables. Called by `app.config_rules`; what is only unwise is in
`app.config_check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import check_domain, check_target
from ekiden.config.model import Config, Route
from ekiden.policy.route_match import ANY, NULL, Conditions, conditions_of, route_name

TLS_VALUES: Final = ("none", "opportunistic", "require", "verify")
#: More attempts than these are not made in five days with any schedule that makes sense.
MOST_ATTEMPTS: Final = 1000
#: What a name may hold beside letters and digits: no blank, so that commands can name it.
_IN_NAMES: Final = "._-"
_LONGEST_NAME: Final = 64


def check_routes(config: Config, report: Report) -> None:
    for index, route in enumerate(config.route):
        path: KeyPath = ("route", index)
        _check_conditions(route, path, report)
        _check_targets(route, path, report)
        check_login(route, path, report)
    _check_duplicates(config, report)


def _check_conditions(route: Route, path: KeyPath, report: Report) -> None:
    if route.match != ANY:
        report.accepts((*path, "match"), check_domain, route.match.removeprefix("*."))
    for index, text in enumerate(route.sender):
        report.accepts((*path, "sender", index), _check_sender, text)
    for index, text in enumerate(route.account):
        report.accepts((*path, "account", index), _check_account, text)
    if not 0 <= route.after_attempts <= MOST_ATTEMPTS:
        report.add((*path, "after_attempts"), f"must be from 0 to {MOST_ATTEMPTS}, not {route.after_attempts}")
    if route.name:
        report.accepts((*path, "name"), _check_name, route.name)


def _check_sender(text: str) -> None:
    if text == NULL:
        return
    if text == ANY:
        raise ValueError('"*" is everybody: leave sender out')
    local, at, domain = text.rpartition("@")
    if at and not local:
        raise ValueError(f'"{text}" is no address; write "{domain}" for the whole domain')
    check_domain(domain if at else text.removeprefix("*."))


def _check_account(text: str) -> None:
    local, _, domain = text.rpartition("@")
    if text == ANY:
        return
    if not local:
        raise ValueError(f'"{text}" is no account; write it as `ekiden account list` does, such as "you@example.org"')
    check_domain(domain)


def _check_name(text: str) -> None:
    if len(text) > _LONGEST_NAME or not all(c.isascii() and (c.isalnum() or c in _IN_NAMES) for c in text):
        raise ValueError(f'"{text}" is no name; write up to {_LONGEST_NAME} letters, digits, dots and hyphens')


def _check_targets(route: Route, path: KeyPath, report: Report) -> None:
    targets = [to for index, to in enumerate(route.to) if report.accepts((*path, "to", index), check_target, to)]
    if not route.to:
        report.add((*path, "to"), "must name one target at least, such as smtp://mail.example.org:25")
    check_tls(route, path, report, targets)


def check_tls(route: Route, path: KeyPath, report: Report, targets: Sequence[str] | None = None) -> None:
    """`targets`: those of the route that are good; None: all of them."""
    targets = route.to if targets is None else targets
    if route.tls and route.tls not in TLS_VALUES:
        values = ", ".join(f'"{value}"' for value in TLS_VALUES)
        report.add((*path, "tls"), f'"{route.tls}" is not known; write one of {values}')
    if route.tls == "none" and any(to.lower().startswith("smtps:") for to in targets):
        report.add((*path, "tls"), 'contradicts smtps://, which is TLS from the first byte; leave tls = "none" out')


def check_login(route: Route, path: KeyPath, report: Report) -> None:
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


def _check_duplicates(config: Config, report: Report) -> None:
    """Equal conditions never meet; equal names would make one way of two."""
    conditions: dict[Conditions, str] = {}
    names: set[str] = set()
    for index, route in enumerate(config.route):
        path: KeyPath = ("route", index)
        if report.is_bad(path):
            continue
        key, name = conditions_of(route), route_name(route)
        if key in conditions:
            report.add((*path, "match"), f'"{name}" has a route above, and the first match wins')
        elif name in names:
            report.add((*path, "name"), f'"{name}" is what another route is called; give this one a name of its own')
        conditions.setdefault(key, name)
        names.add(name)
