"""Relay control: may this client send to this recipient through us? The one place that keeps us from being an open
relay.

Rules, in the order in which they are asked (the names are stable; events show them)
1. `postmaster`          <postmaster> without a domain, of a domain of ours, or at the address that the client has
                         connected to (`[192.0.2.1]`, §4.1.3), is always taken (RFC 5321 §4.5.1). Other literals are
                         strange domains.
2. `own-domain-*`        a domain of ours: taken if the recipient is known to exist, in the way the domain says.
3. `routing-characters`  `%`, `!` or a quoted `@` in the local part of a domain that we hand on to another server: a
                         stranger could make that server relay (percent hack, bang path). Refused.
4. `login`               somebody who proved who they are may send anywhere.
5. `trusted-network`     so may clients of `[relay] trusted_networks`.
6. `relay-denied`        everybody else: 550 5.7.1, naming the right door.

Domains are compared in key form (lower case, A-labels, no trailing dot), client addresses with IPv4-mapped IPv6 undone:
how a name or an address is spelled changes nothing (invariant 3). Source routes were dropped by the grammar (RFC 5321
§4.1.1.3).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.config.model import Domain
from ekiden.model.account import Standing
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply

NO_SUCH_USER: Final = Reply(550, "5.1.1", "No such mailbox here")
RELAY_DENIED: Final = Reply(
    550,
    "5.7.1",
    "This door takes mail for our own domains only",
    "To send mail through this server use port 465 (TLS) or 587 (STARTTLS) with your login",
)
ROUTING_CHARACTERS: Final = Reply(550, "5.7.1", "Routing through local parts is not supported: write the real address")

_ROUTING_CHARACTERS: Final = frozenset("%!@")


class RecipientFacts(NamedTuple):
    """What is known about one RCPT. None means: not asked yet.

    `domain`: the entry of `[[domain]]` if the recipient's domain is ours. `standing`: the directory's word. `listed`:
    on the list of a domain with "list:". `probe`: the next hop's reply of a domain with "callahead". `here`: the domain
    is a literal of our own address.
    """

    forward_path: Mailbox
    domain: Domain | None
    account: str = ""
    trusted: bool = False
    standing: Standing | None = None
    listed: bool | None = None
    probe: Reply | None = None
    here: bool = False


def decide_recipient(facts: RecipientFacts) -> Decision | Ask:
    """Accept, reject or defer the recipient, or ask for 'standing', 'listed' or 'probe'."""
    mailbox = facts.forward_path
    if not mailbox.domain or ((facts.domain is not None or facts.here) and mailbox.local_key == "postmaster"):
        return Decision(Verdict.ACCEPT, "postmaster", "the postmaster can always be reached")
    if facts.domain is not None:
        return _own_domain(facts, facts.domain)
    if facts.account:
        return Decision(Verdict.ACCEPT, "login", f"{facts.account} is logged in")
    if facts.trusted:
        return Decision(Verdict.ACCEPT, "trusted-network", "the client's address is in [relay] trusted_networks")
    return Decision(
        Verdict.REJECT,
        "relay-denied",
        f"{mailbox.domain} is not ours, nobody is logged in, and the client is not in [relay] trusted_networks",
        RELAY_DENIED,
    )


def _own_domain(facts: RecipientFacts, domain: Domain) -> Decision | Ask:
    source = domain.recipients.partition(":")[0]
    if source == "accounts":
        return _by_directory(facts)
    privileged = bool(facts.account) or facts.trusted
    if not privileged and not _ROUTING_CHARACTERS.isdisjoint(facts.forward_path.local_key):
        return Decision(
            Verdict.REJECT,
            "routing-characters",
            "a local part with %, ! or @ could make the next hop relay",
            ROUTING_CHARACTERS,
        )
    if source == "list":
        return _by_list(facts)
    if source == "callahead":
        return _by_probe(facts)
    return Decision(Verdict.ACCEPT, "own-domain-any", f"{domain.name} takes any recipient")


def _by_directory(facts: RecipientFacts) -> Decision | Ask:
    if facts.standing is None:
        return Ask("standing")
    if facts.standing is Standing.UNKNOWN:
        return Decision(Verdict.REJECT, "own-domain-unknown", "no account or alias of that name", NO_SUCH_USER)
    return Decision(Verdict.ACCEPT, "own-domain-known", f"the directory knows it: {facts.standing.value}")


def _by_list(facts: RecipientFacts) -> Decision | Ask:
    if facts.listed is None:
        return Ask("listed")
    if facts.listed:
        return Decision(Verdict.ACCEPT, "own-domain-listed", "on the domain's recipient list")
    return Decision(Verdict.REJECT, "own-domain-unlisted", "not on the domain's recipient list", NO_SUCH_USER)


def _by_probe(facts: RecipientFacts) -> Decision | Ask:
    if facts.probe is None:
        return Ask("probe")
    if facts.probe.is_permanent:
        return Decision(Verdict.REJECT, "own-domain-callahead", f"the next hop said: {facts.probe}", NO_SUCH_USER)
    if facts.probe.is_transient:
        reply = Reply(450, "4.4.1", "The recipient cannot be checked right now, please try again")
        return Decision(Verdict.DEFER, "own-domain-callahead", f"the next hop said: {facts.probe}", reply)
    return Decision(Verdict.ACCEPT, "own-domain-callahead", f"the next hop said: {facts.probe}")
