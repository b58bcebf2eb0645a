"""Which letters a `[[route]]` is for, and what it is called. Pure.

Rules
1. All conditions that are given must hold: recipient domain (`match`), reverse-path (`sender`), login (`account`), and
   attempts made (`after_attempts`). The first route that fits wins.
2. A route's name is the end of its next-hop key `route:NAME`. It is `name` if given, else what is written in its
   conditions: `example.org` alone for a route with only `match`; `*,sender=shop.test,after=3` with more. The name must
   not change without need: suspensions and stored legs know the route by it.
3. A route above can take everything that one below would: then the one below is never used (`never_reached`).

Called by `policy.next_hop`, delivery's routing and the check of the configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from ekiden.config.model import Route
from ekiden.model.mailbox import Mailbox, address_key, domain_key

#: "the rest of the world" as a recipient domain, "any login" as an account
ANY: Final = "*"
#: The null reverse-path, as a sender: reports.
NULL: Final = "<>"


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


def sender_matches(pattern: str, reverse_path: str) -> bool:
    """`<>`, `alice@example.org`, `example.org` or `*.example.org`. `reverse_path`: as written, '' for the null one."""
    if not reverse_path or pattern == NULL:
        return pattern == NULL and not reverse_path
    mailbox = mailbox_of(reverse_path)
    if "@" in pattern:
        return mailbox.key == address_key(pattern)
    return pattern_matches(pattern, mailbox.domain_key)


class Conditions(NamedTuple):
    """Of one route, in the form that is compared: patterns as domain keys, addresses as mailbox keys."""

    match: str
    senders: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    after: int = 0

    @property
    def is_for_everybody(self) -> bool:
        """Only the recipient's domain decides."""
        return not (self.senders or self.accounts or self.after)

    def open_to(self, reverse_path: str, account: str, attempts: int) -> bool:
        """Everything but the recipient's domain. `account`: as the directory names it, '' without login."""
        if attempts < self.after:
            return False
        if self.accounts and account not in self.accounts and not (account and ANY in self.accounts):
            return False
        return not self.senders or any(sender_matches(pattern, reverse_path) for pattern in self.senders)

    def covers(self, other: Conditions, ours: Collection[str]) -> bool:
        """Every letter that fits `other` fits this one, too. `ours`: our domains with accounts, as keys."""
        return (
            self.after <= other.after
            and _pattern_covers(self.match, other.match, ours)
            and (not self.accounts or _accounts_cover(self.accounts, other.accounts))
            and (not self.senders or _senders_cover(self.senders, other.senders))
        )


def conditions_of(route: Route) -> Conditions:
    return Conditions(
        _pattern_key(route.match),
        tuple(_sender_key(text) for text in route.sender),
        frozenset(text if text == ANY else address_key(text) for text in route.account),
        route.after_attempts,
    )


def route_name(route: Route) -> str:
    """Rule 2. Of several senders or accounts the first stands for all."""
    if route.name:
        return route.name
    parts = [route.match]
    parts += [f"sender={route.sender[0]}"] if route.sender else []
    parts += [f"account={route.account[0]}"] if route.account else []
    parts += [f"after={route.after_attempts}"] if route.after_attempts else []
    return ",".join(parts)


def never_reached(routes: Sequence[Route], ours: Collection[str]) -> list[tuple[int, int]]:
    """(a route that can never be used, the one above that takes its letters), by index. `ours`: our domains with
    accounts, as keys."""
    conditions = [conditions_of(route) for route in routes]
    found: list[tuple[int, int]] = []
    for index, mine in enumerate(conditions):
        above = next((other for other in range(index) if conditions[other].covers(mine, ours)), None)
        if above is not None:
            found.append((index, above))
    return found


def _pattern_key(pattern: str) -> str:
    if pattern == ANY:
        return ANY
    return "*." + domain_key(pattern[2:]) if pattern.startswith("*.") else domain_key(pattern)


def _sender_key(text: str) -> str:
    if text == NULL:
        return NULL
    return address_key(text) if "@" in text else _pattern_key(text)


def _pattern_covers(wide: str, narrow: str, ours: Collection[str]) -> bool:
    """A bare `*` leaves out our own domains with accounts, so it covers no pattern that names one of them."""
    if wide == ANY and narrow != ANY:
        return not any(pattern_matches(narrow, domain) for domain in ours)
    return wide == narrow or (wide.startswith("*.") and narrow.endswith(wide[1:]))


def _accounts_cover(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    return bool(narrow) and (ANY in wide or narrow <= wide)


def _senders_cover(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    return bool(narrow) and all(any(_sender_covers(one, other) for one in wide) for other in narrow)


def _sender_covers(wide: str, narrow: str) -> bool:
    if wide == narrow:
        return True
    if "@" in narrow and "@" not in wide and wide != NULL:
        return pattern_matches(wide, narrow.rpartition("@")[2])
    return wide.startswith("*.") and narrow not in (NULL, ANY) and narrow.endswith(wide[1:])
