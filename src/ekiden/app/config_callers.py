"""`[callers]` and `[[dnsbl]]`: what belongs together. Called by `app.config_rules`."""

from __future__ import annotations

from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import check_host_name, parse_network
from ekiden.config.model import Config, Dnsbl
from ekiden.model.mailbox import domain_key
from ekiden.policy.dnsbl import check_code

#: RFC 5321 §4.5.3.2.1: clients wait five minutes for the greeting; some less than half a minute.
LONGEST_PAUSE: Final = 20.0
#: RFC 5321 §4.5.3.2.3: a client waits five minutes for the answer to RCPT.
LONGEST_TIMEOUT: Final = 60.0
#: A question is an address of IPv6 in nibbles (64 octets) before the zone, 253 in all (RFC 1035 §3.1).
LONGEST_ZONE: Final = 253 - 64
MOST_LISTS: Final = 20
MOST_POINTS: Final = 1000


def check_callers(config: Config, report: Report) -> None:
    callers = config.callers
    for key in ("exempt", "strangers"):
        for index, text in enumerate(getattr(callers, key)):
            report.accepts(("callers", key, index), parse_network, text)
    if callers.pause > LONGEST_PAUSE:
        message = f"must be at most {LONGEST_PAUSE:g}s: other servers do not wait longer for a greeting"
        report.add(("callers", "pause"), message)
    if callers.timeout > LONGEST_TIMEOUT:
        report.add(("callers", "timeout"), f"must be at most {LONGEST_TIMEOUT:g}s: clients wait for the answer to RCPT")
    _check_order(config, report)
    if len(config.dnsbl) > MOST_LISTS:
        report.add(("dnsbl", MOST_LISTS), f"is one too many: {MOST_LISTS} lists are asked of each client at most")
    seen: set[str] = set()
    for index, entry in enumerate(config.dnsbl):
        _check_list(entry, ("dnsbl", index), report)
        if domain_key(entry.zone) in seen:
            report.add(("dnsbl", index, "zone"), f'"{entry.zone}" is there twice; put all its codes into one entry')
        seen.add(domain_key(entry.zone))


def _check_order(config: Config, report: Report) -> None:
    """Thresholds of 0 are none."""
    callers = config.callers
    if 0 < callers.refuse_at < callers.defer_at:
        message = f"{callers.defer_at} is never reached: refuse_at = {callers.refuse_at} refuses before"
        report.add(("callers", "defer_at"), message)


def _check_list(entry: Dnsbl, path: KeyPath, report: Report) -> None:
    if report.is_bad(path):
        return
    if report.accepts((*path, "zone"), check_host_name, entry.zone) and len(entry.zone) > LONGEST_ZONE:
        report.add((*path, "zone"), f"is longer than {LONGEST_ZONE} octets: no address fits before it")
    if not entry.codes and not report.is_bad((*path, "codes")):
        report.add((*path, "codes"), 'names none, so nothing would count: write {"127.0.0.2" = 5} as the list says')
    for code, points in entry.codes.items():
        if report.accepts((*path, "codes", code), check_code, code) and not 0 <= points <= MOST_POINTS:
            report.add((*path, "codes", code), f"must be from 0 (as weight) to {MOST_POINTS} points, not {points}")
    if not 1 <= entry.weight <= MOST_POINTS:
        message = f"must be from 1 to {MOST_POINTS}, not {entry.weight}; lists of good clients have allow = true"
        report.add((*path, "weight"), message)
    if not entry.page and not entry.allow:
        report.add((*path, "page"), "is missing: who is refused must find out why; the list's page about an address")
    elif not entry.page.isascii() or not entry.page.isprintable() or len(entry.page) > 200:
        report.add((*path, "page"), "must be a URL in ASCII, 200 characters at most: it stands in replies")
