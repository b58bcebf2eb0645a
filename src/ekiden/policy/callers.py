"""Who calls on port 25: is this client one that other servers' mail comes from? Pure. Asked at RCPT.

Points: those of the lists that the client is on, less those of the lists of good ones, and `sign_weight` for each weak
sign:
    no-reverse-dns           its address has no name
    reverse-dns-unconfirmed  it has, and none of its names leads back (forward-confirmed reverse DNS)
    helo-ours                it says that it is us
    helo-our-domain          it says one of our domains
    helo-bare-address        an address without brackets (RFC 5321 §4.1.3)
    helo-no-dot              no full name (§2.3.5)

Rules (the names are stable; events show them)
1. `caller-refused`   as many points as `refuse_at`, and a list said so: 550, naming the list and its page.
2. `caller-unsure`    the same, but a list of good ones did not answer: 450.
3. `caller-deferred`  as many as `defer_at`, and a list said so: 450.
4. `caller-marked`    as many as `mark_at`: taken, the letter is marked.
5. `caller`           everybody else.

Weak signs alone never refuse or defer: too many honest servers have them. What the DNS did not answer is no sign. The
postmaster is always reached: `session.relay` does not ask for him.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.config.model import Callers, Config
from ekiden.model.decision import Decision, Verdict
from ekiden.model.mailbox import domain_key
from ekiden.model.reply import Reply
from ekiden.policy.addresses import is_special_purpose
from ekiden.policy.dnsbl import Listing
from ekiden.policy.networks import NetworkSet, parse_address
from ekiden.ports.resolver import Status

SPOKE_FIRST: Final = Reply(554, "5.5.1", "You spoke before the greeting (RFC 5321 section 4.3.1)")
#: The rule that goes with it.
PREGREETING: Final = "pre-greeting"


class CallerFacts(NamedTuple):
    """What the DNS says about a client. `names`: of its address; `confirmed`: the one that leads back to it. `reverse`:
    whether that could be found out. `unsure`: a list of good ones did not answer."""

    reverse: Status = Status.FAILED
    names: tuple[str, ...] = ()
    confirmed: str = ""
    listings: tuple[Listing, ...] = ()
    unsure: bool = False


#: Nothing is known, nothing speaks against the client.
NO_FACTS: Final = CallerFacts()


class CallerRules(NamedTuple):
    """`names`: our own, in key form. `domains`: ours."""

    keys: Callers
    names: frozenset[str]
    domains: frozenset[str]


class Judgement(NamedTuple):
    """`marked`: the letter is to carry a mark."""

    decision: Decision
    points: int
    signs: tuple[str, ...]
    marked: bool


class JudgedClients:
    """Which clients are judged at all: nobody of `callers.exempt`, no proxy, and of special-purpose addresses only
    `callers.strangers`. Immutable."""

    __slots__ = ("_exempt", "_strangers")

    def __init__(self, config: Config) -> None:
        self._exempt = NetworkSet((*config.callers.exempt, *config.doors.relay.proxies))
        self._strangers = NetworkSet(config.callers.strangers)

    def __contains__(self, address: str) -> bool:
        return address not in self._exempt and (not is_special_purpose(address) or address in self._strangers)


def caller_rules(config: Config) -> CallerRules:
    names = {config.hostname, *(source.helo for source in config.source if source.helo)}
    domains = frozenset(domain_key(domain.name) for domain in config.domain)
    return CallerRules(config.callers, frozenset(map(domain_key, names)), domains)


def caller_key(address: str) -> str:
    """Who counts as one client: an IPv4 address, an IPv6 /64."""
    plain = parse_address(address)
    if plain is None or plain.version == 4:
        return address if plain is None else str(plain)
    return ":".join(plain.exploded.split(":")[:4])


def is_confirmed(client: str, addresses: tuple[str, ...]) -> bool:
    """Whether one of the addresses is the client's."""
    plain = parse_address(client)
    return any(parse_address(address) == plain for address in addresses)


def judge_caller(client: str, helo: str, facts: CallerFacts, rules: CallerRules) -> Judgement:
    keys = rules.keys
    signs = (*_reverse_signs(facts), *_helo_signs(helo, rules))
    against = [listing for listing in facts.listings if listing.points > 0]
    points = sum(listing.points for listing in facts.listings) + keys.sign_weight * len(signs)
    marked = 0 < keys.mark_at <= points
    decision = _by_lists(client, points, against, facts, keys) if against else None
    if decision is None:
        rule = "caller-marked" if marked else "caller"
        decision = Decision(Verdict.ACCEPT, rule, f"{points} points: {_why(facts, signs)}" if points else "")
    return Judgement(decision, points, signs, marked)


def _by_lists(client: str, points: int, against: list[Listing], facts: CallerFacts, keys: Callers) -> Decision | None:
    worst = max(against, key=lambda listing: listing.points)
    text = f"{client} is listed by {worst.zone}"
    if worst.page:
        text += f", see {worst.page}"
    reason = f"{points} points: {_why(facts, ())}"
    if 0 < keys.refuse_at <= points:
        if facts.unsure:
            return Decision(Verdict.DEFER, "caller-unsure", reason, Reply(450, "4.7.1", text))
        return Decision(Verdict.REJECT, "caller-refused", reason, Reply(550, "5.7.1", text))
    if 0 < keys.defer_at <= points:
        return Decision(Verdict.DEFER, "caller-deferred", reason, Reply(450, "4.7.1", text))
    return None


def _why(facts: CallerFacts, signs: tuple[str, ...]) -> str:
    return ", ".join([*map(str, facts.listings), *signs])


def _reverse_signs(facts: CallerFacts) -> tuple[str, ...]:
    if facts.confirmed or facts.reverse is Status.FAILED:
        return ()
    return ("reverse-dns-unconfirmed",) if facts.names else ("no-reverse-dns",)


def _helo_signs(helo: str, rules: CallerRules) -> tuple[str, ...]:
    if helo.startswith("["):
        return ()
    if parse_address(helo) is not None:
        return ("helo-bare-address",)
    name = domain_key(helo)
    if name in rules.names:
        return ("helo-ours",)
    if name in rules.domains:
        return ("helo-our-domain",)
    return () if "." in name else ("helo-no-dot",)
