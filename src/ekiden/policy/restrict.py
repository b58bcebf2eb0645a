"""Restrictions: which recipient domains an account, a profile or a network may send to (`[[restrict]]`). Pure.

Rules
1. A restriction is for whoever meets all conditions that it names: one of its accounts, profiles, networks. It binds
   who sends through us: logins, and trusted networks for what only they may do.
2. A recipient must pass every restriction that applies: its domain is not in `deny`, and in `allow` if there is one.
3. The postmaster of our domains is always reached (RFC 5321 §4.5.1).
4. Refused is 550 5.7.1, with the restriction's name.

Called by `session.allowance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from ekiden.config.model import Restrict
from ekiden.model.decision import Decision, Verdict
from ekiden.model.mailbox import address_key
from ekiden.model.reply import Reply
from ekiden.policy.guards import RECIPIENT_DOMAINS
from ekiden.policy.networks import NetworkSet
from ekiden.policy.route_match import ANY, pattern_matches


class Restriction(NamedTuple):
    name: str
    accounts: frozenset[str]
    profiles: frozenset[str]
    networks: NetworkSet | None
    allow: tuple[str, ...]
    deny: tuple[str, ...]

    def is_for(self, account: str, profile: str, client: str) -> bool:
        if self.accounts and account not in self.accounts and not (account and ANY in self.accounts):
            return False
        if self.profiles and profile not in self.profiles:
            return False
        return self.networks is None or client in self.networks

    def forbids(self, domain: str) -> bool:
        """`domain`: a domain key."""
        if any(pattern_matches(pattern, domain) for pattern in self.deny):
            return True
        return bool(self.allow) and not any(pattern_matches(pattern, domain) for pattern in self.allow)


def restrictions_of(entries: Iterable[Restrict]) -> tuple[Restriction, ...]:
    return tuple(
        Restriction(
            entry.name,
            frozenset(address if address == ANY else address_key(address) for address in entry.account),
            frozenset(entry.profile),
            NetworkSet(entry.network) if entry.network else None,
            entry.allow,
            entry.deny,
        )
        for entry in entries
    )


def decide_domain(restrictions: Iterable[Restriction], domain: str) -> Decision | None:
    """The refusal; None if nothing speaks against it. `domain`: a domain key."""
    for restriction in restrictions:
        if restriction.forbids(domain):
            reason = f'[[restrict]] "{restriction.name}" does not let this sender send to {domain}'
            reply = Reply(550, "5.7.1", f"You may not send to {domain} (restriction {restriction.name})", _ADVICE)
            return Decision(Verdict.REJECT, RECIPIENT_DOMAINS.name, reason, reply)
    return None


_ADVICE: Final = "Whoever runs this mail server has set that, and can change it"
