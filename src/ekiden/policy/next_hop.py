"""Next-hop keys: which way a recipient's letter goes, decided without DNS.

Rules
1. The key is pure: configuration, envelope, the domain of the recipient and the attempts made decide it, so that it
   can be fixed when the letter is accepted (DESIGN §5) and computed again when the configuration has changed.
2. What the postmaster said of this recipient (`queue reroute`) comes before every route: `via:URL`.
3. The first `[[route]]` whose conditions all fit wins (`route_match`). A domain of ours whose recipients are accounts
   is only routed by a pattern that names it or a parent of it: the bare `*` of a smarthost means the rest of the world.
4. Without a route: a domain of ours with accounts is `local`; everything else goes by MX, `mx:DOMAIN`. An address
   literal (RFC 5321 §4.1.3) keeps its brackets: `mx:[192.0.2.1]`.
5. `<postmaster>` without a domain (RFC 5321 §4.5.1) is local.

Called by session (at accept) and delivery (expansions, reports, and legs that come back from the store).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ekiden.config.model import Config
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX, Envelope, NewLeg, Recipient
from ekiden.model.mailbox import Mailbox, domain_key
from ekiden.policy.route_match import ANY, Conditions, conditions_of, mailbox_of, pattern_matches, route_name

#: Domains remembered with their key; beyond it the memory starts anew. Bounds what strangers' addresses can occupy.
REMEMBERED_DOMAINS: Final = 10_000
#: Sets of routes that were open to some letter; each has a memory of domains. With many conditions there could be more.
REMEMBERED_WAYS: Final = 32


class _Ways:
    """For all letters that the same routes are open to: recipient domain -> key. Cheap to ask: it is remembered."""

    __slots__ = ("_accounts", "_known", "_routes")

    def __init__(self, routes: tuple[tuple[str, str], ...], accounts: frozenset[str]) -> None:
        self._routes = routes  # (pattern, key), in order
        self._accounts = accounts
        self._known: dict[str, str] = {}

    def key(self, domain: str) -> str:
        """`domain`: as written."""
        return self._known.get(domain) or self._learn(domain)

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
        for pattern, key in self._routes:
            if not (ours and pattern == ANY) and pattern_matches(pattern, domain):
                return key
        return LOCAL if ours else MX_PREFIX + domain


class NextHops:
    """The table of one configuration."""

    __slots__ = ("_accounts", "_always", "_routes", "_ways")

    def __init__(self, config: Config) -> None:
        self._accounts = frozenset(domain_key(d.name) for d in config.domain if d.recipients == "accounts")
        self._routes: tuple[tuple[Conditions, str], ...] = tuple(
            (conditions_of(route), ROUTE_PREFIX + route_name(route)) for route in config.route
        )
        self._ways: dict[tuple[bool, ...], _Ways] = {}
        #: What every letter gets when no route asks for more than the recipient's domain: the quick case.
        self._always: _Ways | None = None
        if all(conditions.is_for_everybody for conditions, _ in self._routes):
            self._always = self._open_ways("", "", 0)

    def key(self, mailbox: Mailbox) -> str:
        """`local`, `route:NAME` or `mx:DOMAIN`, for a letter from nobody (`<>`) that was never tried: call-ahead."""
        return self._open_ways("", "", 0).key(mailbox.domain)

    def key_for(self, envelope: Envelope, recipient: Recipient, attempts: int) -> str:
        """`attempts`: how many did not bring the letter away."""
        (key,) = self.keys_for(envelope, (recipient,), attempts)
        return key

    def keys_for(self, envelope: Envelope, recipients: Iterable[Recipient], attempts: int) -> set[str]:
        """Of all recipients of a leg: more than one if the configuration parts their ways."""
        ways = self._always or self._open_ways(envelope.reverse_path, envelope.origin.account, attempts)
        return {_key(ways, recipient) for recipient in recipients}

    def legs(
        self,
        envelope: Envelope,
        recipients: Iterable[Recipient],
        *,
        flow: str = "",
        priority: int = 0,
        attempts: int = 0,
    ) -> list[NewLeg]:
        """One leg a next-hop key, in the order in which they first come; recipients keep theirs."""
        ways = self._always or self._open_ways(envelope.reverse_path, envelope.origin.account, attempts)
        legs: dict[str, NewLeg] = {}
        for recipient in recipients:
            key = _key(ways, recipient)
            leg = legs.get(key)
            if leg is None:
                legs[key] = NewLeg(key, [recipient], flow, priority, attempts)
            else:
                leg.recipients.append(recipient)
        return list(legs.values())

    def _open_ways(self, reverse_path: str, account: str, attempts: int) -> _Ways:
        is_open = tuple(conditions.open_to(reverse_path, account, attempts) for conditions, _ in self._routes)
        ways = self._ways.get(is_open)
        if ways is None:
            if len(self._ways) >= REMEMBERED_WAYS:
                self._ways.clear()
            routes = tuple((c.match, key) for (c, key), mine in zip(self._routes, is_open, strict=True) if mine)
            ways = self._ways[is_open] = _Ways(routes, self._accounts)
        return ways


def _key(ways: _Ways, recipient: Recipient) -> str:
    if recipient.via:
        return VIA_PREFIX + recipient.via
    return ways.key(mailbox_of(recipient.forward_path).domain)
