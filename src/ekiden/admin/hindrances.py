"""What keeps letters from their sites: suspensions by people, and what workers say of sites. Pure.

Rules
1. Two workers may say different things of a site: the worst counts, of two equal ones the one that lasts longer. What
   next hops lead there, each knows in part: together they know all.
2. A suspension is known at once; what workers say, when they said it: a second or a few later.

Read by `QueueView.hindrances`; used by every face that says why a letter waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ekiden.admin.sites import next_hop_of, suspension_of
from ekiden.ports.spool import SiteStatus, Suspension

#: The best first.
_SEVERITY: Final = ("crowded", "limits", "slots", "resting", "blocked", "suspended")


class Hindrances:
    """`sites`: one status a site, by name."""

    def __init__(self, suspensions: Sequence[Suspension] = (), statuses: Iterable[SiteStatus] = ()) -> None:
        self._suspensions = suspensions
        worst: dict[str, SiteStatus] = {}
        hops: dict[str, set[str]] = {}
        for status in statuses:
            hops.setdefault(status.site, set()).update(status.next_hops)
            _keep_worse(worst, status.site, status)
        self.sites = [msgspec.structs.replace(worst[name], next_hops=sorted(hops[name])) for name in sorted(worst)]
        self._by_hop: dict[str, SiteStatus] = {}
        for status in self.sites:
            for next_hop in status.next_hops:
                _keep_worse(self._by_hop, next_hop, status)

    def suspension_of(self, next_hop: str, now: float) -> Suspension | None:
        """A suspension of just this next hop; one of its MX host is what its site says."""
        return suspension_of(next_hop, self._suspensions, now)

    def site_of(self, next_hop: str) -> SiteStatus | None:
        """None: nothing is known that would keep it."""
        return self._by_hop.get(next_hop)

    def suspensions(self, now: float) -> list[Suspension]:
        """Those that last."""
        return [one for one in self._suspensions if one.lasts(now)]


def all_hindered(known: Hindrances, now: float) -> list[SiteStatus]:
    """What workers say, and suspensions of next hops, which no worker need have met."""
    listed = {host for status in known.sites for host in (status.site, *status.site.split())}
    suspended = [
        SiteStatus(one.site, "suspended", one.reason, one.since, one.until, [next_hop_of(one.site)])
        for one in known.suspensions(now)
        if one.site not in listed
    ]
    return sorted([*known.sites, *suspended], key=lambda status: status.site)


def _keep_worse(kept: dict[str, SiteStatus], name: str, status: SiteStatus) -> None:
    before = kept.get(name)
    if before is None or _badness(status) >= _badness(before):
        kept[name] = status


def _badness(status: SiteStatus) -> tuple[int, float]:
    rank = _SEVERITY.index(status.state) if status.state in _SEVERITY else -1
    return rank, status.until or status.since
