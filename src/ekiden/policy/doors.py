"""Doors for networks: may this client come in at this door at all? Asked once a connection, before anything is said.

Rules, in the order in which they are asked (the names are stable; events show them)
1. `denied`       the address is in `deny` of the door: refused, whatever else is said.
2. `own-proxy`    a listed proxy that speaks for itself (a health check) comes in.
3. `allowed`      `allow` is empty, or the address is in it.
4. `not-allowed`  `allow` is there, and the address is not in it.

The address is the client's: behind a proxy the one that its PROXY header names. IPv4-mapped IPv6 addresses count as the
IPv4 address they carry. An address that does not parse is in no network. Used by `session.gate` and by `explain`.
"""

from __future__ import annotations

from typing import Final

from ekiden.config.model import DoorRules
from ekiden.model.decision import Decision, Verdict
from ekiden.model.reply import Reply
from ekiden.policy.networks import NetworkSet

REFUSED: Final = Reply(554, "5.7.1", "Your address may not use this door")


class DoorNetworks:
    """`[doors.NAME]`, ready to be asked. Immutable."""

    __slots__ = ("allow", "deny", "open_to_all", "proxies")

    def __init__(self, rules: DoorRules) -> None:
        self.allow = NetworkSet(rules.allow)
        self.deny = NetworkSet(rules.deny)
        self.proxies = NetworkSet(rules.proxies)
        self.open_to_all = not self.allow and not self.deny


def may_enter(door: DoorNetworks, address: str) -> Decision:
    """Accept or reject; a rejection's `reply` is for doors that speak SMTP."""
    if address in door.deny:
        return Decision(Verdict.REJECT, "denied", f"{address} is in deny of this door", REFUSED)
    if address in door.proxies:
        return Decision(Verdict.ACCEPT, "own-proxy", f"{address} is in proxies of this door")
    if door.allow and address not in door.allow:
        return Decision(Verdict.REJECT, "not-allowed", f"{address} is not in allow of this door", REFUSED)
    return _ALLOWED


_ALLOWED: Final = Decision(Verdict.ACCEPT, "allowed", "the door is open to this address")
