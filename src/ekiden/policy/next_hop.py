"""Next-hop keys: which way a recipient's letter goes, decided without DNS.

Rules
1. The key is pure: configuration and the domain of the recipient decide it, so that it can be fixed when the letter is
   accepted (DESIGN §5) and computed again when the configuration has changed.
2. The first `[[route]]` whose pattern fits wins. A domain of ours whose recipients are accounts is only routed by a
   pattern that names it or a parent of it: the bare `*` of a smarthost means the rest of the world.
3. Without a route: a domain of ours with accounts is `local`; everything else goes by MX, `mx:DOMAIN`. An address
   literal (RFC 5321 §4.1.3) keeps its brackets: `mx:[192.0.2.1]`.
4. `<postmaster>` without a domain (RFC 5321 §4.5.1) is local.

Called by session (at accept) and delivery (expansions, reports, and legs that come back from the store).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ekiden.config.model import Config, Route
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, NewLeg, Recipient
from ekiden.model.mailbox import Mailbox, domain_key

#: Domains remembered with their key; beyond it the memory starts anew. Bounds what strangers' addresses can occupy.
REMEMBERED_DOMAINS: Final = 10_000
#: "the rest of the world"
ANY: Final = "*"


def mailbox_of(path: str) -> Mailbox:
    """The mailbox of a path in written form, which the grammar has accepted before. A domain never holds an `@`; a
    quoted local part may (RFC 5321 §4.1.2)."""
    local_part, at, domain = path.rpartition("@")
    return Mailbox(local_part, domain) if at else Mailbox(domain, "")


def pattern_matches(pattern: str, domain: str) -> bool:
    """`*`, `example.org` (itself alone) or `*.example.org` (below it, not itself). `domain`: a domain key."""
    if pattern == ANY:
        return True
    if pattern.startswith("*."):
        return domain.endswith("." + domain_key(pattern[2:]))
    return domain == domain_key(pattern)


class NextHops:
    """The table of one configuration. Cheap to ask: a domain's key is remembered."""

    __slots__ = ("_accounts", "_known", "_routes")

    def __init__(self, config: Config) -> None:
        self._routes: tuple[Route, ...] = config.route
        self._accounts = frozenset(domain_key(d.name) for d in config.domain if d.recipients == "accounts")
        self._known: dict[str, str] = {}

    def key(self, mailbox: Mailbox) -> str:
        """`local`, `route:PATTERN` or `mx:DOMAIN`."""
        return self._known.get(mailbox.domain) or self._learn(mailbox.domain)

    def key_of(self, path: str) -> str:
        """The same for a path in written form (without angle brackets, not null)."""
        return self.key(mailbox_of(path))

    def legs(self, recipients: Iterable[Recipient], *, flow: str = "", priority: int = 0) -> list[NewLeg]:
        """One leg a next-hop key, in the order in which they first come; recipients keep theirs."""
        legs: dict[str, NewLeg] = {}
        for recipient in recipients:
            key = self.key_of(recipient.forward_path)
            leg = legs.get(key)
            if leg is None:
                legs[key] = NewLeg(key, [recipient], flow, priority)
            else:
                leg.recipients.append(recipient)
        return list(legs.values())

    def _learn(self, written: str) -> str:
        key = self._decide(domain_key(written))
        if len(self._known) >= REMEMBERED_DOMAINS:
            self._known.clear()
        self._known[written] = key
        return key

    def _decide(self, domain: str) -> str:
        if not domain:
            return LOCAL
        ours = domain in self._accounts
        for route in self._routes:
            if not (ours and route.match == ANY) and pattern_matches(route.match, domain):
                return ROUTE_PREFIX + route.match
        return LOCAL if ours else MX_PREFIX + domain
