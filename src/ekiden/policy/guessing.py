"""Guessing: may a login's password be looked at at all, and how soon?

Counted are distinct wrong logins (a login with its password; a failed SCRAM exchange is one) of the last hour, for the
client's networks. A stale password that somebody's own program tries again and again is one.

Rules, in the order in which they are asked
1. `known`           the account came from this network (/24, /48) within 90 days: its password is looked at, always and
                     at once. So nobody's guesses lock the owner out.
2. `login-guesses`   the address (IPv4 /32, IPv6 /64) has `limits.guesses` or more: refused, without a look at the
                     password. Not where many share an address that is no fault of theirs (`policy.crowding.exempt`).
3. `slowed`          after `FREE` guesses of the address each doubles the wait, up to `LONGEST` seconds.
4. `slowed`          wider networks, and the login itself, that have `WIDE_FACTOR` times as many: `LONGEST` seconds.
                     They are whole providers, or a victim: never refused.

A limit of 0 is none. Letters on port 25 are never touched. Called by `accounts.guarded_login`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple

from ekiden.policy.networks import parse_address

WINDOW: Final = 3600.0
#: A person mistypes once or twice.
FREE: Final = 3
FIRST: Final = 0.5
LONGEST: Final = 5.0
WIDE_FACTOR: Final = 4
_IPV4: Final = (32, 26, 21)
_IPV6: Final = (64, 48, 32)


class GuessFacts(NamedTuple):
    """Guesses: `address` of the narrowest network, `wide` of the next two and of the login."""

    known: bool
    shared: bool
    address: int
    wide: tuple[int, ...]
    limit: int


class GuessVerdict(NamedTuple):
    """`delay`: seconds before the password is looked at."""

    rule: str
    refused: bool = False
    delay: float = 0.0


_FREE: Final = GuessVerdict("free")


def decide_login(facts: GuessFacts) -> GuessVerdict:
    limit = facts.limit
    if facts.known or limit < 1:
        return GuessVerdict("known") if facts.known else _FREE
    if facts.address >= limit and not facts.shared:
        return GuessVerdict("login-guesses", refused=True)
    if any(guesses >= limit * WIDE_FACTOR for guesses in facts.wide):
        return GuessVerdict("slowed", delay=LONGEST)
    over = facts.address - FREE
    return GuessVerdict("slowed", delay=min(FIRST * 2.0 ** min(over, 10), LONGEST)) if over >= 0 else _FREE


@lru_cache(maxsize=4096)
def guess_networks(client: str) -> tuple[str, ...]:
    """The narrowest first; the text itself if it is no IP address."""
    address = parse_address(client)
    if address is None:
        return (client,)
    bits = _IPV4 if isinstance(address, ipaddress.IPv4Address) else _IPV6
    return tuple(str(ipaddress.ip_network((address, each), strict=False)) for each in bits)
