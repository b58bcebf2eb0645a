"""Relay control: one table of who may send where."""

from __future__ import annotations

import pytest

from ekiden.config.model import Domain
from ekiden.model.account import Standing
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.networks import NetworkSet, is_literal_of
from ekiden.policy.relay import RecipientFacts, decide_recipient

ACCOUNTS = Domain(name="ours.test")
ROUTED = Domain(name="ours.test", recipients="any")
LISTED = Domain(name="ours.test", recipients="list:names.txt")
CALLED = Domain(name="ours.test", recipients="callahead")


def decide(local: str, domain: str, entry: Domain | None, **facts: object) -> Decision:
    decision = decide_recipient(RecipientFacts(Mailbox(local, domain), entry)._replace(**facts))
    assert isinstance(decision, Decision), decision
    return decision


@pytest.mark.parametrize(
    ("local", "domain", "entry", "facts", "verdict", "rule"),
    [
        ("postmaster", "", None, {}, Verdict.ACCEPT, "postmaster"),
        ("PostMaster", "ours.test", ACCOUNTS, {}, Verdict.ACCEPT, "postmaster"),
        ("postmaster", "other.test", None, {}, Verdict.REJECT, "relay-denied"),
        ("postmaster", "[192.0.2.1]", None, {}, Verdict.REJECT, "relay-denied"),
        ("Postmaster", "[192.0.2.1]", None, {"here": True}, Verdict.ACCEPT, "postmaster"),
        ("bob", "[192.0.2.1]", None, {"here": True}, Verdict.REJECT, "relay-denied"),
        ('"x@other.test"', "[192.0.2.1]", None, {"here": True}, Verdict.REJECT, "relay-denied"),
        ("bob", "ours.test", ACCOUNTS, {"standing": Standing.ACCOUNT}, Verdict.ACCEPT, "own-domain-known"),
        ("bob", "ours.test", ACCOUNTS, {"standing": Standing.DISABLED}, Verdict.ACCEPT, "own-domain-known"),
        ("bob", "ours.test", ACCOUNTS, {"standing": Standing.UNKNOWN}, Verdict.REJECT, "own-domain-unknown"),
        ("bob", "ours.test", LISTED, {"listed": True}, Verdict.ACCEPT, "own-domain-listed"),
        ("bob", "ours.test", LISTED, {"listed": False}, Verdict.REJECT, "own-domain-unlisted"),
        ("bob", "ours.test", CALLED, {"probe": Reply(250, "2.1.5", "")}, Verdict.ACCEPT, "own-domain-callahead"),
        ("bob", "ours.test", CALLED, {"probe": Reply(550, "5.1.1", "")}, Verdict.REJECT, "own-domain-callahead"),
        ("bob", "ours.test", CALLED, {"probe": Reply(421, "4.4.1", "")}, Verdict.DEFER, "own-domain-callahead"),
        ("bob", "ours.test", ROUTED, {}, Verdict.ACCEPT, "own-domain-any"),
        ("x%other.test", "ours.test", ROUTED, {}, Verdict.REJECT, "routing-characters"),
        ("other.test!x", "ours.test", ROUTED, {}, Verdict.REJECT, "routing-characters"),
        ('"x@other.test"', "ours.test", ROUTED, {}, Verdict.REJECT, "routing-characters"),
        ("x%other.test", "ours.test", CALLED, {}, Verdict.REJECT, "routing-characters"),
        ("x%other.test", "ours.test", ROUTED, {"account": "a@ours.test"}, Verdict.ACCEPT, "own-domain-any"),
        ("x", "other.test", None, {}, Verdict.REJECT, "relay-denied"),
        ("x", "[192.0.2.1]", None, {}, Verdict.REJECT, "relay-denied"),
        ("x", "other.test", None, {"account": "a@ours.test"}, Verdict.ACCEPT, "login"),
        ("x", "other.test", None, {"trusted": True}, Verdict.ACCEPT, "trusted-network"),
    ],
)
def test_who_may_send_where(
    local: str, domain: str, entry: Domain | None, facts: dict[str, object], verdict: Verdict, rule: str
) -> None:
    decision = decide(local, domain, entry, **facts)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert (decision.reply is None) == (verdict is Verdict.ACCEPT)


@pytest.mark.parametrize(("entry", "fact"), [(ACCOUNTS, "standing"), (LISTED, "listed"), (CALLED, "probe")])
def test_only_the_fact_that_is_missing_is_asked_for(entry: Domain, fact: str) -> None:
    assert decide_recipient(RecipientFacts(Mailbox("bob", "ours.test"), entry)) == Ask(fact)


def test_a_deferred_recipient_gets_a_temporary_reply() -> None:
    reply = decide("bob", "ours.test", CALLED, probe=Reply(550, "5.7.1", "")).reply
    assert reply is not None
    assert reply.is_permanent
    reply = decide("bob", "ours.test", CALLED, probe=Reply(451, "4.3.0", "")).reply
    assert reply is not None
    assert reply.is_transient


def test_networks() -> None:
    networks = NetworkSet(["10.0.0.0/8", "2001:db8::/32"])
    assert "10.1.2.3" in networks
    assert "::ffff:10.1.2.3" in networks
    assert "2001:db8::1" in networks
    assert "fe80::1%eth0" not in networks
    assert "11.0.0.1" not in networks
    assert "not an address" not in networks
    assert "" not in networks
    assert not NetworkSet([])
    for number in range(5000):  # strangers do not make it grow for ever
        assert f"192.0.{number // 256}.{number % 256}" not in networks
    assert "10.1.2.3" in networks


@pytest.mark.parametrize(
    ("domain", "address", "ours"),
    [
        ("[192.0.2.1]", "192.0.2.1", True),
        ("[192.0.2.1]", "::ffff:192.0.2.1", True),
        ("[IPv6:::ffff:192.0.2.1]", "192.0.2.1", True),
        ("[ipv6:2001:DB8:0:0::1]", "2001:db8::1", True),
        ("[192.0.2.2]", "192.0.2.1", False),
        ("[x:192.0.2.1]", "192.0.2.1", False),
        ("192.0.2.1", "192.0.2.1", False),
        ("ours.test", "192.0.2.1", False),
        ("[]", "", False),
        ("", "", False),
    ],
)
def test_our_own_address_as_a_literal(domain: str, address: str, ours: bool) -> None:
    assert is_literal_of(domain, address) is ours
