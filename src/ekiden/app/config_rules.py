"""What must hold within a configuration, beyond the types of its keys. Nothing here looks outside the file.

Each rule reports at the key that a person would change, and says what would be right. Called by `app.config_file`; what
needs the machine (certificates, folders, ports) is in `app.config_check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from ekiden.app.config_callers import check_callers
from ekiden.app.config_content import check_content_rules
from ekiden.app.config_detour import check_detour
from ekiden.app.config_doors import check_door_rules
from ekiden.app.config_lines import KeyPath
from ekiden.app.config_oauth import check_oauth
from ekiden.app.config_profiles import check_profiles
from ekiden.app.config_reader import Report
from ekiden.app.config_restrict import check_restrictions
from ekiden.app.config_routes import check_routes
from ekiden.app.config_sites import check_sites
from ekiden.app.config_sources import check_sources
from ekiden.app.config_values import check_domain, check_host_name, parse_network
from ekiden.config.model import Config, Section, WideNetwork
from ekiden.model.door import DOORS, Door
from ekiden.model.mailbox import domain_key
from ekiden.policy.route_match import ANY, conditions_of, pattern_matches

_RECIPIENTS: Final = '"accounts", "list:FILE", "callahead" or "any"'
#: 0: no limit.
_NO_LIMIT: Final = frozenset(
    ("limits", key)
    for key in (
        "commands",
        "guesses",
        "ban_after",
        "tarpit",
        "unknown_recipients",
        "connections_per_address",
        "connections_per_network",
    )
)
_ZERO_ALLOWED: Final = _NO_LIMIT | {
    ("workers",),
    ("brake", "new_accounts"),
    ("limits", "priority"),
    ("passwords", "strength"),
    ("passwords", "history"),
    ("passwords", "max_age_days"),
    *(("callers", key) for key in ("pause", "refuse_at", "defer_at", "mark_at", "sign_weight")),
}
#: Shorter ones are tried through in days; longer ones than this people cannot be asked for (NIST SP 800-63B §3.1.1).
SHORTEST_PASSWORDS: Final = (8, 64)
#: Each costs 30 ms when a password is set.
MOST_HISTORY: Final = 50
#: More processes than this help nobody: two saturate one queue file (DESIGN §4).
MOST_WORKERS: Final = 256
#: Seconds. Clients wait for five minutes (RFC 5321 §4.5.3.2.2); more is only a place taken.
LONGEST_TARPIT: Final = 30
#: RFC 6710 §6.
MOST_PRIORITY: Final = 9


def check_rules(config: Config, raw: Mapping[str, Any], report: Report) -> None:
    """`raw`: the tables as written, to tell a default from a choice."""
    _check_numbers(config, (), report)
    _check_names(config, report)
    _check_brake(config, report)
    _check_doors(config, report)
    check_door_rules(config, report)
    _check_networks(config, report)
    check_callers(config, report)
    _check_domains(config, raw, report)
    _check_passwords(config, report)
    check_routes(config, report)
    check_detour(config, report)
    check_sources(config, report)
    check_sites(config, report)
    check_oauth(config, report)
    check_profiles(config, report)
    check_restrictions(config, report)
    check_content_rules(config, report)


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
        if section.limits.tarpit > LONGEST_TARPIT:
            report.add(("limits", "tarpit"), f"must be at most {LONGEST_TARPIT}s: each waiting client holds a place")
        for key in ("mx_port", "mta_sts_port"):
            if not 0 < getattr(section.delivery, key) < 65536:
                report.add(("delivery", key), "must be a port from 1 to 65535")


def _too_small(value: float, path: KeyPath) -> bool:
    return value < 0 or (value == 0 and path not in _ZERO_ALLOWED)


def _check_passwords(config: Config, report: Report) -> None:
    rules, (least, most) = config.passwords, SHORTEST_PASSWORDS
    if rules.min_length > 0 and not least <= rules.min_length <= most:
        report.add(("passwords", "min_length"), f"must be from {least} to {most}, not {rules.min_length}")
    if rules.strength > 4:
        report.add(("passwords", "strength"), f"must be from 0 (not asked) to 4, not {rules.strength}")
    if rules.history > MOST_HISTORY:
        report.add(("passwords", "history"), f"must be at most {MOST_HISTORY}, not {rules.history}")


def _check_names(config: Config, report: Report) -> None:
    report.accepts(("hostname",), check_host_name, config.hostname)
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


def _check_brake(config: Config, report: Report) -> None:
    ours = {domain_key(entry.name) for entry in config.domain}
    for index, address in enumerate(config.brake.exempt):
        local, _, domain = address.rpartition("@")
        if not local or domain_key(domain) not in ours:
            report.add(("brake", "exempt", index), f'"{address}" is no address of ours; write "news@example.org"')


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
    if config.extra_certificate and not config.tls.certificate:
        report.add(
            ("extra_certificate", 0),
            "is a further one, chosen by name: the one for clients that name nothing stands in [tls] and is missing",
        )


def _check_networks(config: Config, report: Report) -> None:
    for index, entry in enumerate(config.relay.trusted_networks):
        path: KeyPath = ("relay", "trusted_networks", index)
        text, wide = (entry.net, entry.wide) if isinstance(entry, WideNetwork) else (entry, False)
        report.accepts(path, partial(parse_network, wide=wide), text)
    for index, text in enumerate(config.delivery.allow_addresses):
        report.accepts(("delivery", "allow_addresses", index), parse_network, text)


def _check_domains(config: Config, raw: Mapping[str, Any], report: Report) -> None:
    seen: dict[str, str] = {}
    written = raw.get("domain", ())
    for index, domain in enumerate(config.domain):
        path: KeyPath = ("domain", index)
        if report.is_bad(path) or not report.accepts((*path, "name"), check_domain, domain.name):
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
        probed = _is_routed(config, key, for_everybody=True)
        if domain.recipients != "accounts" and (domain.quota or domain.mailbox_quota):
            report.add(path, f'"{domain.name}" has no mailboxes here (recipients), so it can have no quota')
        _check_recipients(domain.recipients, (*path, "recipients"), report, routed=probed)


def _is_routed(config: Config, key: str, *, for_everybody: bool = False) -> bool:
    """By name: "*" alone is a smarthost for what is not ours. `for_everybody`: whoever sends, at the first attempt."""
    return any(
        route.match != ANY and pattern_matches(route.match, key)
        for route in config.route
        if not for_everybody or conditions_of(route).is_for_everybody
    )


def _check_recipients(recipients: str, path: KeyPath, report: Report, *, routed: bool) -> None:
    if recipients.startswith("list:"):
        if not recipients[5:]:
            report.add(path, 'lacks the file: write "list:FILE"')
    elif recipients == "callahead":
        if not routed:
            report.add(
                path, '"callahead" asks the server of a [[route]], and no route names this domain for every sender'
            )
    elif recipients not in ("accounts", "any"):
        report.add(path, f'"{recipients}" is not known; write {_RECIPIENTS}')
