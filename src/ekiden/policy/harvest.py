"""Harvesting: does this client try out which recipients exist?

Rules
1. `unknown-recipients`  more than `limits.unknown_recipients` of a session do not exist, or ten times as many in an
   hour of a client's network: further ones that do not exist get 450 instead of 550. Those that exist are taken,
   so nobody who writes to real people is kept off, and an old mailing list brings what it can.
2. Logins and trusted networks are exempt: their people must see which address is wrong.
3. Where many share an address (`policy.crowding.exempt`: a container's gateway, a webmail on this machine) only the
   session counts: one client's list would otherwise make everybody's mistakes 450, which come back after days.
4. A limit of 0 is none.

Called by `session.harvest` when relay control said no.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.model.decision import Decision, Verdict
from ekiden.model.reply import Reply
from ekiden.policy.guards import UNKNOWN_RECIPIENTS

#: What a network may have more than a session: many people write from a provider's, and mistype.
NETWORK_FACTOR: Final = 10
#: How long an unknown recipient counts for the network, in seconds.
WINDOW: Final = 3600.0
TOO_MANY: Final = Reply(450, "4.7.1", "Too many recipients that do not exist, please try again later")


class HarvestFacts(NamedTuple):
    """Different unknown recipients, this one included: `session`, `network` (of the last hour)."""

    session: int
    network: int
    limit: int


def is_unknown(decision: Decision) -> bool:
    """Relay control knows that the recipient does not exist."""
    return decision.verdict is Verdict.REJECT and decision.rule.startswith("own-domain-")


def decide_unknown(decision: Decision, facts: HarvestFacts) -> Decision:
    """`decision`: that of relay control, which stands while there are few."""
    if facts.limit < 1:
        return decision
    if facts.session > facts.limit:
        reason = f"{facts.session} unknown recipients in one session, {facts.limit} are allowed"
    elif facts.network > facts.limit * NETWORK_FACTOR:
        allowed = facts.limit * NETWORK_FACTOR
        reason = f"{facts.network} unknown recipients in an hour from one network, {allowed} are allowed"
    else:
        return decision
    return Decision(Verdict.DEFER, UNKNOWN_RECIPIENTS.name, reason, TOO_MANY)
