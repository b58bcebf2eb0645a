"""Whose an address is: one table of claims, and where the directory leads."""

from __future__ import annotations

import pytest

from ekiden.message.originators import Claim, Originators
from ekiden.model.account import DirectoryEntry, Standing
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.mailbox import Mailbox
from ekiden.policy.ownership import (
    DEPTH,
    LOOKUPS,
    SenderFacts,
    decide_originators,
    decide_sender,
    leads_to,
    not_yours,
)

ALICE = "alice@ours.test"
OURS = {"ours.test", "xn--bcher-kva.test"}


def mailbox(text: str) -> Mailbox:
    local_part, _, domain = text.rpartition("@")
    return Mailbox(local_part, domain)


def decide(address: str | None, claim: Claim = Claim.FROM, **facts: object) -> Decision | Ask:
    return decide_sender(SenderFacts(ALICE, claim, mailbox(address) if address else None)._replace(**facts))


@pytest.mark.parametrize(
    ("address", "facts", "verdict", "rule"),
    [
        (None, {}, Verdict.ACCEPT, "null-reverse-path"),
        ("alice@ours.test", {}, Verdict.ACCEPT, "own-address"),
        ('"ALICE"@Ours.Test', {}, Verdict.ACCEPT, "own-address"),
        ("x@app.test", {"send_as": ("@app.test",)}, Verdict.ACCEPT, "send-as"),
        ("Desk@app.test", {"send_as": ("desk@app.test",)}, Verdict.ACCEPT, "send-as"),
        ("x@bücher.test", {"send_as": ("@xn--bcher-kva.test",)}, Verdict.ACCEPT, "send-as"),
        ("info@ours.test", {"owner": True}, Verdict.ACCEPT, "own-alias"),
        ("bob@ours.test", {"owner": False}, Verdict.REJECT, "owner-from"),
        ("x@sub.app.test", {"send_as": ("@app.test",), "owner": False}, Verdict.REJECT, "owner-from"),
        ("x@app.test", {"send_as": ("desk@app.test",), "owner": False}, Verdict.REJECT, "owner-from"),
    ],
)
def test_one_claim(address: str | None, facts: dict[str, object], verdict: Verdict, rule: str) -> None:
    decision = decide(address, **facts)
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert (decision.reply is None) == decision.accepted


@pytest.mark.parametrize(
    ("claim", "rule"),
    [
        (Claim.REVERSE_PATH, "owner-reverse-path"),
        (Claim.FROM, "owner-from"),
        (Claim.SENDER, "owner-sender"),
        (Claim.RESENT_FROM, "owner-resent"),
        (Claim.RESENT_SENDER, "owner-resent"),
    ],
)
def test_each_claim_has_its_rule(claim: Claim, rule: str) -> None:
    decision = decide("bob@ours.test", claim, owner=False)
    assert isinstance(decision, Decision)
    assert decision.rule == rule
    assert str(decision.reply).startswith(f"550 5.7.1 {claim}: this login may not use that address")


@pytest.mark.parametrize("address", ["alice+shop@ours.test", "info@ours.test", "bob@far.test"])
def test_what_is_not_known_is_asked_for(address: str) -> None:
    assert decide(address) == Ask("owner")


def test_the_refusal_says_what_may_be_used() -> None:
    reply = not_yours(Claim.FROM, ALICE, ("desk@ours.test", "@app.test"))
    assert reply.lines[1] == "It may use alice@ours.test, that with a +tag, its aliases, and desk@ours.test, @app.test"
    reply = not_yours(Claim.FROM, "ålice@ours.test", tuple(f"a{n}@x.test" for n in range(9)))
    assert reply.wire.isascii()
    assert reply.lines[1].endswith("a4@x.test and others")
    assert not_yours(Claim.FROM, ALICE, ("å@x.test", "@x.test")).lines[1].endswith("its aliases, and @x.test")
    assert not_yours(Claim.FROM, ALICE, ()).lines[1].endswith("its aliases")


@pytest.mark.parametrize(
    ("originators", "rule"),
    [
        (Originators(fault="expected a From field", missing=True), "from-missing"),
        (Originators(fault="expected one From field"), "from-malformed"),
        (Originators(fault="expected x", at=Claim.SENDER), "sender-malformed"),
        (Originators(fault="expected x", at=Claim.RESENT_SENDER), "resent-malformed"),
    ],
)
def test_what_is_unclear_is_refused(originators: Originators, rule: str) -> None:
    decision = decide_originators(originators)
    assert decision is not None
    assert (decision.verdict, decision.rule) == (Verdict.REJECT, rule)
    assert str(decision.reply).startswith("550 5.6.0 ")


def test_what_is_clear_is_decided_claim_by_claim() -> None:
    assert decide_originators(Originators(((Claim.FROM, mailbox(ALICE)),))) is None


def owner(address: str, entries: dict[str, DirectoryEntry], asked: list[str] | None = None) -> bool:
    """What `leads_to` says; names without an entry are unknown. `asked`: what it wanted to know."""
    walk = leads_to(ALICE, mailbox(address), OURS)
    try:
        needed = next(walk)
        while True:
            if asked is not None:
                asked.append(needed.key)
            needed = walk.send(entries.get(needed.key, DirectoryEntry(Standing.UNKNOWN)))
    except StopIteration as end:
        return bool(end.value)


def alias(*targets: str) -> DirectoryEntry:
    return DirectoryEntry(Standing.ALIAS, targets=targets)


ENTRIES = {
    "alice@ours.test": DirectoryEntry(Standing.ACCOUNT, account=ALICE),
    "bob@ours.test": DirectoryEntry(Standing.ACCOUNT, account="bob@ours.test"),
    "alice+shop@ours.test": DirectoryEntry(Standing.ACCOUNT, account=ALICE),
    "info@ours.test": alias("Bob@ours.test", "ALICE@ours.test"),
    "sales@ours.test": alias("bob@ours.test", "info@ours.test"),
    "away@ours.test": alias("alice@far.test"),
    "tagged@ours.test": alias("alice+shop@ours.test"),
    "circle@ours.test": alias("wheel@ours.test"),
    "wheel@ours.test": alias("circle@ours.test"),
    "nobody@ours.test": DirectoryEntry(Standing.UNKNOWN),
    "old@ours.test": DirectoryEntry(Standing.DISABLED, account=ALICE),
    "any@xn--bcher-kva.test": alias("alice@ours.test"),
}


@pytest.mark.parametrize(
    ("address", "reaches"),
    [
        ("alice+shop@ours.test", True),
        ("info@ours.test", True),
        ("sales@ours.test", True),
        ("tagged@ours.test", True),
        ("Any@Bücher.test", True),
        ("old@ours.test", True),
        ("bob@ours.test", False),
        ("away@ours.test", False),
        ("circle@ours.test", False),
        ("nobody@ours.test", False),
        ("alice@far.test", False),
        ("alice@", False),
        ('"x@y"@ours.test', False),
    ],
)
def test_where_mail_to_it_would_come(address: str, reaches: bool) -> None:
    assert owner(address, ENTRIES) is reaches


@pytest.mark.parametrize(("aliases", "reaches"), [(DEPTH, True), (DEPTH + 1, False)])
def test_a_chain_ends(aliases: int, reaches: bool) -> None:
    entries = {f"a{n}@ours.test": alias(f"a{n + 1}@ours.test") for n in range(aliases - 1)}
    entries[f"a{aliases - 1}@ours.test"] = alias("alice@ours.test")
    assert owner("a0@ours.test", entries) is reaches


def test_a_list_ends() -> None:
    asked: list[str] = []
    entries = {"all@ours.test": alias(*(f"a{n}@ours.test" for n in range(10_000)))}
    assert not owner("all@ours.test", entries, asked)
    assert len(asked) == LOOKUPS


def test_nothing_is_asked_twice() -> None:
    asked: list[str] = []
    assert not owner("circle@ours.test", ENTRIES, asked)
    assert asked == ["circle@ours.test", "wheel@ours.test"]


def test_who_is_far_down_a_list_still_owns_it() -> None:
    targets = [f"a{n}@ours.test" for n in range(1000)]
    assert owner("all@ours.test", {"all@ours.test": alias(*targets, "Alice@ours.test")})
