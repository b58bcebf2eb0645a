"""Greylisting (RFC 6647): has this server come back before? Pure. An option, off by default.

Rules, in the order in which they are asked (the names are stable; events show them)
1. `greylist-trusted`  the server's network came back before: taken, for five weeks after its last letter.
2. `greylisting`       a triple (network, reverse-path, forward-path) that is new, or younger than `greylist_delay`:
                       450.
3. `greylist-passed`   it came again: taken, and its network is trusted from now on.

A network is an IPv4 /24 or an IPv6 /64: large providers send the second try from a neighbour. What is remembered lives
two days; a network that fills the memory with new triples (`MOST_NEW` an hour) gets 450 without being remembered.
Called by `session.greylist`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple

from ekiden.model.decision import Decision, Verdict
from ekiden.model.reply import Reply
from ekiden.policy.networks import parse_address

#: RFC 5321 §4.5.4.1: senders try for 4 to 5 days, and again within hours: two days have several tries in them.
KEPT_SECONDS: Final = 2 * 86400.0
#: A monthly newsletter comes back in time.
TRUSTED_SECONDS: Final = 36 * 86400.0
MOST_NEW: Final = 1000
NEW_WINDOW: Final = 3600.0
RULE: Final = "greylisting"


class GreylistFacts(NamedTuple):
    """`age`: seconds since the triple was seen first; None: it is new."""

    trusted: bool
    age: float | None
    delay: float


def decide_greylist(facts: GreylistFacts) -> Decision:
    if facts.trusted:
        return _TRUSTED
    if facts.age is None or facts.age < facts.delay:
        left = facts.delay - (facts.age or 0.0)
        reply = Reply(450, "4.7.1", f"Greylisted: please try again later ({max(round(left), 1)} s)")
        reason = "never seen before" if facts.age is None else f"came back after {facts.age:.0f} seconds, too early"
        return Decision(Verdict.DEFER, RULE, reason, reply)
    return Decision(Verdict.ACCEPT, "greylist-passed", f"came back after {facts.age:.0f} seconds")


_TRUSTED: Final = Decision(Verdict.ACCEPT, "greylist-trusted", "its network came back before")


@lru_cache(maxsize=4096)
def greylist_network(address: str) -> str:
    plain = parse_address(address)
    if plain is None:
        return address
    return str(ipaddress.ip_network((plain, 24 if plain.version == 4 else 64), strict=False))
