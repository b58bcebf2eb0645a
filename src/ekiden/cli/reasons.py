"""Why a leg waits, in plain words, and how sites and suspensions are told. Pure but for the zone."""

from __future__ import annotations

from typing import Any, Final

from ekiden.admin.causes import HELD_BY_RULE, RESTING, TURN, cause_of, state_of
from ekiden.admin.hindrances import Hindrances
from ekiden.admin.sites import next_hop_of
from ekiden.cli.output import count, local_time, span, utc_time
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX, Leg
from ekiden.ports.spool import SiteStatus, Suspension

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


def due_text(leg: Leg, known: Hindrances, now: float) -> str:
    """When a leg is tried: `in 12m`, `now`, `being tried`, `held`, `suspended`, `blocked`, `in line`, or
    `rests, in 9m`."""
    state = state_of(leg, known, now)
    if state in ("held", "being tried", "suspended", "blocked"):
        return state
    if state == "limited":
        return "in line"
    assert leg.next_attempt is not None
    when = "now" if leg.next_attempt <= now else f"in {span(leg.next_attempt - now)}"
    return f"rests, {when}" if state == "resting" else when


def why_text(leg: Leg, known: Hindrances, now: float) -> str:
    """One sentence: why it is still here, and what makes it go."""
    state, cause, site = state_of(leg, known, now), cause_of(leg, known, now), known.site_of(leg.next_hop)
    title = cause.title if cause is not None else ""
    match state:
        case "held":
            if cause is HELD_BY_RULE:
                return f"{title}, and it goes back to its sender in the end if nobody releases it"
            return f"{title}, and it stays until it is released"
        case "being tried":
            words = "a worker has it in hand: it is being tried, or is next in line for its site"
            return f"{words}; {title}: {site.reason}" if title and site is not None else words
        case "suspended":
            suspension = known.suspension_of(leg.next_hop, now)
            if suspension is not None:
                return f"{title}: {suspension_text(suspension)}; it goes when that ends"
            return f"{title}: {site.site}: {site.reason}; it goes when that ends" if site is not None else title
        case "blocked":
            return f"{site.reason}; it goes when port 25 is open, or by a detour" if site is not None else title
        case "limited" | "crowded":
            return f"{title}: {site.reason}" if site is not None else title
        case "resting" if site is not None:
            rests = f"until {local_time(site.until or now)}; the last failure: {site.reason}"
            return f"{title} {rests}" if cause is RESTING else f"{title}; its site rests {rests}"
        case "due" if leg.attempts or cause is TURN:
            return f"{title}: its time has come, and it goes when its site can take it"
    assert leg.next_attempt is not None
    when = f"{local_time(leg.next_attempt)}, in {span(leg.next_attempt - now)}"
    return f"{title}; the next attempt is due at {when}" if title else f"its first attempt is due at {when}"


def hindered_text(status: SiteStatus | None, now: float) -> str:
    """A site's state, for a column: `rests, 9m`, `suspended`, `at its limits`, or nothing."""
    match status.state if status is not None else "":
        case "resting" if status is not None:
            left = (status.until or now) - now
            return f"rests, {span(left)}" if left > 0 else "rested, is tried"
        case "slots" | "limits":
            return "at its limits"
        case "crowded":
            return "no connection left"
        case other:
            return other


#: Of `queue sites`; the reason stands under each row.
SITE_HEAD: Final = "SITE", "STATE", "SINCE", "WAITING", "LIMIT", "NEXT HOPS"


def site_row(status: SiteStatus, waiting: int, now: float) -> tuple[str, ...]:
    """As SITE_HEAD says."""
    hops = ", ".join(hop_text(hop) for hop in status.next_hops[:2])
    more = f" and {len(status.next_hops) - 2} more" if len(status.next_hops) > 2 else ""
    since = f"{span(now - status.since)} ago"
    return status.site, hindered_text(status, now), since, str(waiting), str(status.connections or ""), hops + more


def site_json(status: SiteStatus, waiting: int) -> dict[str, Any]:
    """`state`: resting, suspended, blocked (port 25 is, by this network), slots (other workers have them), limits,
    crowded (the worker has no connection left). `connections`: at once, at most; null: not known. `waiting`: legs of
    `next_hops`."""
    return {
        "site": status.site,
        "state": status.state,
        "reason": status.reason,
        "since": utc_time(status.since),
        "until": utc_time(status.until),
        "connections": status.connections or None,
        "next_hops": status.next_hops,
        "waiting": waiting,
        "told_by": status.told_by or None,
    }


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
