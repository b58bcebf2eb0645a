"""Sender ownership: may this login say that it is this address (RFC 6409 §6.1, RFC 5321 §7.1)?

An address is one's own if mail to it would come to one's account, or if the postmaster granted it.

Rules, in the order in which they are asked (the names are stable; events show them)
1. `null-reverse-path`   MAIL FROM:<> is taken: read receipts need it (RFC 6409 §3.2). Who it is says From.
2. `own-address`         the account's own name.
3. `send-as`             granted: the address itself, or its whole domain (`@example.org`).
4. `own-alias`           mail to it would come to the account: the name with a `+tag`, an alias that leads there, also
                         through other aliases and beside other targets; the catch-all, where nobody has the name.
5. `owner-reverse-path`, `owner-from`, `owner-sender`, `owner-resent`
                         everything else: 550 5.7.1, saying what the login may use.

Of the header section: `from-missing`, `from-malformed`, `sender-malformed`, `resent-malformed` (550 5.6.0); what cannot
be read in one way cannot be owned.

Addresses are compared in key form (unquoted, lower case, A-labels), as recipients are. A quoted `@` is nobody's: some
would read another address.

Called by session (`session.senders`) and by what explains decisions. Facts come from `accounts.ownership`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Generator
from typing import Final, NamedTuple, assert_never

from ekiden.message.originators import Claim, Originators
from ekiden.model.account import DirectoryEntry
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.mailbox import Mailbox, address_key
from ekiden.model.reply import Reply

#: How many aliases may lie between an address and its account: as deep as delivery follows them.
DEPTH: Final = 10
#: How many names are looked up for one address: enough for any list of a household, and an end for all others.
LOOKUPS: Final = 200
#: How many grants a refusal lists.
_LISTED: Final = 5

NULL_REVERSE_PATH: Final = Decision(Verdict.ACCEPT, "null-reverse-path", "a receipt or report; From says whose")
OWN_ADDRESS: Final = Decision(Verdict.ACCEPT, "own-address", "it is the account's own address")


class SenderFacts(NamedTuple):
    """What is known about one claim. `address` None: the null reverse-path. `send_as`: what was granted to the account,
    mailbox keys and `@domain`. `owner`: whether mail to it would come to the account (`leads_to`); None: not asked
    yet."""

    account: str
    claim: Claim
    address: Mailbox | None
    send_as: tuple[str, ...] = ()
    owner: bool | None = None


def decide_sender(facts: SenderFacts) -> Decision | Ask:
    """Accept or reject the claim, or ask for 'owner'."""
    if facts.address is None:
        return NULL_REVERSE_PATH
    key = facts.address.key
    if key == facts.account:
        return OWN_ADDRESS
    if facts.send_as and (key in facts.send_as or key[key.rfind("@") :] in facts.send_as):
        return Decision(Verdict.ACCEPT, "send-as", f"{key} was granted to {facts.account}")
    if facts.owner is None:
        return Ask("owner")
    if facts.owner:
        return Decision(Verdict.ACCEPT, "own-alias", f"mail to {key} comes to {facts.account}")
    return Decision(
        Verdict.REJECT,
        _rule(facts.claim),
        f"{facts.claim}: {key} is neither an address of {facts.account} nor granted to it",
        not_yours(facts.claim, facts.account, facts.send_as),
    )


def decide_originators(originators: Originators) -> Decision | None:
    """Rejects a header section that does not say clearly who it is from; None: each claim is to be decided."""
    if not originators.fault:
        return None
    if originators.missing:
        return Decision(Verdict.REJECT, "from-missing", "the letter has no From field", NO_FROM)
    rule = {Claim.FROM: "from-malformed", Claim.SENDER: "sender-malformed"}.get(originators.at, "resent-malformed")
    reply = Reply(550, "5.6.0", f"{originators.at}: {originators.fault}")
    return Decision(Verdict.REJECT, rule, f"{originators.at}: {originators.fault}", reply)


def leads_to(account: str, address: Mailbox, ours: Container[str]) -> Generator[Mailbox, DirectoryEntry, bool]:
    """Whether mail to `address` would come to `account`: yields each mailbox whose entry it needs, is sent the entry,
    and returns the answer. `ours`: our domains, in key form; what leads elsewhere leads nowhere."""
    waiting = deque([(address, 0)])
    seen = {address.key}
    while waiting:
        mailbox, depth = waiting.popleft()
        if mailbox.domain_key not in ours or "@" in mailbox.local_key:
            continue
        entry = yield mailbox
        if entry.account == account:
            return True
        for target in entry.targets if depth < DEPTH else ():
            key = address_key(target)
            if key == account:
                return True
            if key not in seen and len(seen) < LOOKUPS:
                seen.add(key)
                local_part, _, domain = target.rpartition("@")
                waiting.append((Mailbox(local_part, domain), depth + 1))
    return False


NO_FROM: Final = Reply(
    550, "5.6.0", "The letter has no From field", "Each letter must say who it is from (RFC 5322 section 3.6)"
)


def not_yours(claim: Claim, account: str, send_as: tuple[str, ...]) -> Reply:
    """What the login may use instead. Names beyond ASCII are not in it: SMTPUTF8 may not have been agreed."""
    own = account if account.isascii() else "your own address"
    granted = [name for name in send_as if name.isascii()]
    also = f", and {', '.join(granted[:_LISTED])}{' and others' if len(granted) > _LISTED else ''}" if granted else ""
    return Reply(
        550,
        "5.7.1",
        f"{claim}: this login may not use that address",
        f"It may use {own}, that with a +tag, its aliases{also}",
    )


def _rule(claim: Claim) -> str:
    match claim:
        case Claim.REVERSE_PATH:
            return "owner-reverse-path"
        case Claim.FROM:
            return "owner-from"
        case Claim.SENDER:
            return "owner-sender"
        case Claim.RESENT_FROM | Claim.RESENT_SENDER:
            return "owner-resent"
        case _:
            assert_never(claim)
