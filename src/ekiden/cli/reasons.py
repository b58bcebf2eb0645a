"""Why a leg waits, in plain words, and how suspensions are told. Pure but for the zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ekiden.admin.sites import next_hop_of, suspension_of
from ekiden.cli.output import count, local_time, span, utc_time
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX, Leg, LegState
from ekiden.ports.spool import Suspension

SUSPENSION_HEAD: Final = "SITE", "WAITING", "UNTIL", "BY", "REASON"


def hop_text(next_hop: str) -> str:
    """A next-hop key in words."""
    if next_hop == LOCAL:
        return "our own mailboxes"
    if next_hop.startswith(MX_PREFIX):
        return f"MX of {next_hop.removeprefix(MX_PREFIX)}"
    if next_hop.startswith(ROUTE_PREFIX):
        return f'route "{next_hop.removeprefix(ROUTE_PREFIX)}"'
    if next_hop.startswith(VIA_PREFIX):
        return f"{next_hop.removeprefix(VIA_PREFIX)} (rerouted)"
    return next_hop


def site_text(site: str) -> str:
    """A suspension's site: a bare name may be a domain's or an MX host's."""
    return site if next_hop_of(site) != site else hop_text(site)


def due_text(leg: Leg, now: float, suspensions: Sequence[Suspension] = ()) -> str:
    """When a leg is tried: `in 12m`, `now`, `being tried`, `held`, `suspended`."""
    state = state_of(leg, now, suspensions)
    if state in ("held", "being tried", "suspended"):
        return state
    assert leg.next_attempt is not None
    return "now" if leg.next_attempt <= now else f"in {span(leg.next_attempt - now)}"


def state_of(leg: Leg, now: float, suspensions: Sequence[Suspension] = ()) -> str:
    """`held`, `being tried`, `suspended` (its site is), `due` or `waiting` (until its next attempt)."""
    if leg.state is LegState.HELD:
        return "held"
    if leg.state is LegState.CLAIMED or leg.next_attempt is None:
        return "being tried"
    if suspension_of(leg.next_hop, suspensions, now) is not None:
        return "suspended"
    return "due" if leg.next_attempt <= now else "waiting"


def why_text(leg: Leg, now: float, suspensions: Sequence[Suspension]) -> str:
    """One sentence: why it is still here, and what makes it go."""
    state = state_of(leg, now, suspensions)
    if state == "held":
        return "a person holds it, and it stays until it is released"
    if state == "being tried":
        return "a worker has it in hand: it is being tried, or is next in line for its site"
    suspension = suspension_of(leg.next_hop, suspensions, now)
    if suspension is not None:
        return f"{suspension_text(suspension)}; it goes when that ends"
    if state == "due":
        return "its time has come; it goes when its site can take it"
    assert leg.next_attempt is not None
    when = f"{local_time(leg.next_attempt)}, in {span(leg.next_attempt - now)}"
    if leg.attempts:
        return f"the last attempt did not bring it away; the next one is due at {when}"
    return f"its first attempt is due at {when}"


def suspension_text(one: Suspension) -> str:
    until = "until it is resumed" if one.until is None else f"until {local_time(one.until)}"
    reason = f": {one.reason}" if one.reason else ""
    return f"{site_text(one.site)} is suspended {until} (by {one.by}{reason})"


def waiting_text(site: str, legs: int) -> str:
    """How many legs wait there; of a bare name only as far as it is a domain's."""
    if next_hop_of(site) == site:
        return f"{count(legs, 'leg waits', 'legs wait')} there"
    if not legs:
        return f"no leg waits for the domain {site}; if it is an MX host, those for its domains are meant"
    return f"{count(legs, 'leg waits', 'legs wait')} for the domain {site}"


def suspension_row(one: Suspension, waiting: int, now: float) -> tuple[str, ...]:
    """As SUSPENSION_HEAD says."""
    until = "resumed" if one.until is None else f"{local_time(one.until)}, in {span(one.until - now)}"
    return site_text(one.site), str(waiting), until, one.by, one.reason


def suspension_json(one: Suspension, waiting: int) -> dict[str, Any]:
    """`until` null: until it is resumed. `waiting`: legs by the next hop that the site means first."""
    return {
        "site": one.site,
        "since": utc_time(one.since),
        "until": utc_time(one.until),
        "by": one.by,
        "reason": one.reason,
        "waiting": waiting,
    }
