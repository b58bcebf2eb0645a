"""Why a letter waits: the usual causes, each with a name, plain words and the next step. Pure.

Rules
1. What people did comes first (held, suspended), then what a letter was told when it was tried, then what is known of
   its site. Of several recipients the first that has an error speaks.
2. An answer is judged by its enhanced status code (RFC 3463), and by our own words where a code is ambiguous.
3. `docs/queue.md` has a section for each of CAUSES, with the same words: a test compares them.

Used by every face that says why a letter waits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.admin.hindrances import Hindrances
from ekiden.model.envelope import HELD_BY, Leg, LegState

#: How long after its rest a site's letters are due, at most (seconds): what was put back when it failed.
_SLACK: Final = 1.0


class Cause(NamedTuple):
    """`name`: for programs. `title`: a clause, also the heading of the page. `step`: what to do next."""

    name: str
    title: str
    step: str


REFUSED = Cause(
    "refused",
    "the next hop refuses it for now",
    "read its answer: greylisting passes by itself, anything else only their postmaster can change",
)
FULL = Cause(
    "full",
    "the mailbox is full",
    "tell the recipient another way; `ekiden queue bounce ID` tells the sender now rather than at the end",
)
SILENT = Cause(
    "silent",
    "the next hop does not answer",
    "see whether others reach it; if no host anywhere answers, this network blocks port 25 (docs/op25b.md)",
)
RESTING = Cause(
    "resting",
    "its site rests",
    "nothing: it is tried again by itself; `ekiden queue retry ID` tries at once",
)
DNS = Cause(
    "dns",
    "the DNS does not answer",
    "ask the name server that is named, or use others: `[dns] nameservers`; then `ekiden queue retry ID`",
)
TLS = Cause(
    "tls",
    "no secure connection comes about",
    "their postmaster mends certificate or STARTTLS; or the `[[route]]` asks for less (`tls`)",
)
LOGIN = Cause(
    "login",
    "our login is refused",
    "mend `username` and the password of the `[[route]]`, reload, then `ekiden queue retry ID`",
)
LIMITS = Cause(
    "limits",
    "its site is at its limits",
    "wait, or let a `[[site]]` allow more; `ekiden queue sites` shows the limit",
)
SUSPENDED = Cause(
    "suspended",
    "a person suspended its site",
    "`ekiden queue resume SITE` when the reason is gone; `ekiden queue suspensions` lists who and why",
)
HELD = Cause(
    "held",
    "a person holds it",
    "`ekiden queue release ID`, or `bounce` or `remove` it",
)
#: Not of the usual ones.
HELD_BY_RULE = Cause(
    "held-by-rule",
    "a rule holds it",
    "`ekiden queue release ID`, or `bounce` it; for the brake: `ekiden brake list`",
)
#: The usual ones, in the order of the page.
CAUSES: Final = (REFUSED, FULL, SILENT, RESTING, DNS, TLS, LOGIN, LIMITS, SUSPENDED, HELD)

BLOCKED = Cause(
    "blocked",
    "this network blocks port 25",
    "let `[delivery.detour]` name your provider's server, or ask the provider to open port 25 (docs/op25b.md)",
)
TURN = Cause(
    "turn",
    "its turn has not come",
    "wait; `ekiden queue shape` shows what else is due, `ekiden queue sites` what is slow",
)
CROWDED = Cause(
    "crowded",
    "all connections of this server are in use",
    "wait; if it stays so, allow the server more open files (`LimitNOFILE` in its unit), or add `workers`",
)
OURS = Cause(
    "ours",
    "this server is in trouble itself",
    "read the log (`fault.internal`): a disk, a file or an address of this machine is wrong",
)

#: A site's state -> why its letters wait for a connection.
_NO_CONNECTION: Final = {"slots": LIMITS, "limits": LIMITS, "crowded": CROWDED}
#: Our own words for what letters were not tried for.
_OUR_LIMITS: Final = (
    "a minute are used up",
    "connections that it may have",
    "connections that the site may have",
    "many letters for the same place",
)
#: Our own words for what is wrong here, and no next hop's fault.
_OUR_FAULTS: Final = (
    "internal fault, incident",
    "this machine cannot send from",
    "is no longer configured",
    "the directory of accounts could not be asked",
    "the message could not be read from the queue",
    "the content could not be read",
    "the stored content is not as long",
    "the mailbox could not take the message now",
)
_OUR_LOGIN: Final = ("our login is", "neither AUTH PLAIN nor AUTH LOGIN", "the password of the route", "(at auth)")
_BY_STATUS: Final = {
    "4.2.2": FULL,
    "4.4.0": SILENT,
    "4.4.1": SILENT,
    "4.4.2": SILENT,
    "4.4.3": DNS,
    "4.4.4": DNS,
    "4.7.4": TLS,
    "4.7.5": TLS,
    "4.7.8": LOGIN,
}


def error_of(leg: Leg) -> str:
    """What its last attempt came to; '' if there was none."""
    return next((recipient.last_error for recipient in leg.recipients if recipient.last_error), "")


def state_of(leg: Leg, known: Hindrances, now: float) -> str:
    """In a word: `held`, `being tried`, `suspended`, `blocked`, `resting`, `limited` (its site is), `crowded` (the
    server is), `due` or `waiting`."""
    if leg.state is LegState.HELD:
        return "held"
    if leg.state is LegState.CLAIMED or leg.next_attempt is None:
        return "being tried"
    site = known.site_of(leg.next_hop)
    state = site.state if site is not None else ""
    if state == "suspended" or known.suspension_of(leg.next_hop, now) is not None:
        return "suspended"
    if state == "blocked":
        return "blocked"
    if site is not None and state == "resting" and leg.next_attempt - _SLACK <= (site.until or 0.0) > now:
        return "resting"
    if state in _NO_CONNECTION and (leg.next_attempt <= now or not leg.attempts):
        return "crowded" if state == "crowded" else "limited"
    return "due" if leg.next_attempt <= now else "waiting"


def cause_of(leg: Leg, known: Hindrances, now: float) -> Cause | None:
    """None: it is on its way, or waits for its first attempt."""
    state, error = state_of(leg, known, now), error_of(leg)
    match state:
        case "held":
            return HELD if leg.hold_reason.startswith(HELD_BY) or not leg.hold_reason else HELD_BY_RULE
        case "suspended":
            return SUSPENDED
        case "blocked":
            return BLOCKED
        case "being tried":
            site = known.site_of(leg.next_hop)
            return _NO_CONNECTION.get(site.state) if site is not None else None
        case "limited":
            return LIMITS
        case "crowded":
            return CROWDED
        case "resting" if not (error and leg.attempts):
            return RESTING
        case "due" if not error:
            return TURN
    return judge(error) if error else None


def judge(error: str) -> Cause:
    """An outcome's summary, such as `451 4.7.1 greylisted`."""
    _, _, text = error.partition(" ")
    status = text.partition(" ")[0]
    if "this network blocks port 25" in text:
        return BLOCKED
    if status.startswith(("4.3.", "4.2.0")) and any(words in text for words in _OUR_FAULTS):
        return OURS
    if any(words in text for words in _OUR_LOGIN):
        return LOGIN
    if status == "4.4.5" and any(words in text for words in _OUR_LIMITS):
        return LIMITS
    if status == "4.4.5" and "connections that this server can have" in text:
        return CROWDED
    if "(at starttls)" in text:
        return TLS
    return _BY_STATUS.get(status, REFUSED)
