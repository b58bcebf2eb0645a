"""What may be done to a site: the first `[[site]]` that fits, and `[delivery]` for what it leaves open. Pure.

Rules
1. A `[[site]]` fits by the recipient domain of an `mx:` key, by the `match` or name of a `route:` key, or by the name
   of any host of the road: what people know of a big provider is its hosts, of a partner its domain.
2. The first that fits decides everything; what it does not say comes from `[delivery]`, not from the next one.

Called by delivery once a site and configuration, never per letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ekiden.config.model import Config, Site
from ekiden.model.envelope import MX_PREFIX, ROUTE_PREFIX
from ekiden.model.mailbox import domain_key
from ekiden.policy.retry import RetrySchedule, schedule_of
from ekiden.policy.route_match import pattern_matches


class SiteRules(NamedTuple):
    """`name`: the `match` of the `[[site]]` that decided, '' without one. `connections`: at once, in all workers
    together. `…_per_minute` 0: no limit. `family`: "both", "ipv4" or "ipv6". `source`: addresses of ours.
    `tls`: "opportunistic", "require", "verify" or "none"."""

    name: str
    connections: int
    letters_per_connection: int
    recipients_per_transaction: int
    connections_per_minute: int
    letters_per_minute: int
    retry: RetrySchedule
    family: str
    source: tuple[str, ...] = ()
    tls: str = "opportunistic"


def has_family(address: str, family: str) -> bool:
    """Whether a host at `address` ('': a Unix socket) may be used with that `family`."""
    return family == "both" or not address or (":" in address) == (family == "ipv6")


def rules_for(config: Config, *, next_hop: str, hosts: Sequence[str]) -> SiteRules:
    """`next_hop`: the key; `hosts`: names (or addresses, or socket paths) of the road's hosts, as far as known."""
    names = [_subject(next_hop), *(domain_key(host) for host in hosts)]
    for site in config.site:
        if _fits(site.match, names):
            return _rules(config, site)
    return _rules(config, Site(match=""))


def _subject(next_hop: str) -> str:
    if next_hop.startswith(MX_PREFIX):
        return next_hop.removeprefix(MX_PREFIX)
    return next_hop.removeprefix(ROUTE_PREFIX) if next_hop.startswith(ROUTE_PREFIX) else ""


def _fits(pattern: str, names: Sequence[str]) -> bool:
    """A route is named by its own `match`, so a pattern also fits what is spelt the same."""
    return any(name and (name == pattern or pattern_matches(pattern, name)) for name in names)


def _rules(config: Config, site: Site) -> SiteRules:
    usual = schedule_of(config.delivery)
    return SiteRules(
        name=site.match,
        connections=site.connections or config.delivery.connections_per_site,
        letters_per_connection=site.letters_per_connection,
        recipients_per_transaction=site.recipients_per_transaction,
        connections_per_minute=site.connections_per_minute,
        letters_per_minute=site.letters_per_minute,
        retry=RetrySchedule(
            first=site.retry_first or usual.first,
            factor=site.retry_factor or usual.factor,
            longest=site.retry_longest or usual.longest,
        ),
        family=site.family,
        source=site.source,
        tls=site.tls,
    )
