"""What is made of a client on port 25: lists, reverse DNS, HELO."""

from __future__ import annotations

import pytest

from ekiden.config.model import Callers, Config, Domain, DoorRules, Doors, Source
from ekiden.model.decision import Verdict
from ekiden.policy.callers import (
    CallerFacts,
    JudgedClients,
    Judgement,
    caller_key,
    caller_rules,
    is_confirmed,
    judge_caller,
)
from ekiden.policy.dnsbl import Listing
from ekiden.ports.resolver import Status

NAMED = CallerFacts(Status.OK, ("mx.far.test",), "mx.far.test")
BAD = Listing("bad.test", "127.0.0.2", 5, "https://bad.test/?192.0.2.1")
WEAK = Listing("weak.test", "127.0.0.9", 2)
GOOD = Listing("good.test", "127.0.9.3", -8)


def config(**callers: object) -> Config:
    return Config(
        hostname="mail.example.test",
        data_dir="-",
        domain=(Domain(name="example.test"),),
        source=(Source(address="192.0.2.25", helo="mx2.example.test"),),
        callers=Callers(**callers),
    )


def judge(facts: CallerFacts, helo: str = "mx.far.test", **callers: object) -> Judgement:
    return judge_caller("192.0.2.1", helo, facts, caller_rules(config(**callers)))


def listed(*listings: Listing, facts: CallerFacts = NAMED) -> CallerFacts:
    return facts._replace(listings=listings)


def test_an_ordinary_server_is_taken() -> None:
    judgement = judge(NAMED)
    assert judgement.decision.accepted
    assert (judgement.decision.rule, judgement.points, judgement.signs, judgement.marked) == ("caller", 0, (), False)


def test_a_refusal_names_the_list_and_its_page() -> None:
    judgement = judge(listed(BAD))
    assert judgement.decision.verdict is Verdict.REJECT
    assert judgement.decision.rule == "caller-refused"
    assert str(judgement.decision.reply) == (
        "550 5.7.1 192.0.2.1 is listed by bad.test, see https://bad.test/?192.0.2.1"
    )
    assert judgement.decision.reason == "5 points: bad.test=127.0.0.2"


@pytest.mark.parametrize(
    ("facts", "helo", "signs"),
    [
        (CallerFacts(Status.NOT_FOUND), "mx.far.test", ("no-reverse-dns",)),
        (CallerFacts(Status.OK, ("mx.far.test",)), "mx.far.test", ("reverse-dns-unconfirmed",)),
        (CallerFacts(Status.FAILED), "mx.far.test", ()),
        (CallerFacts(Status.FAILED, ("mx.far.test",)), "mx.far.test", ()),
        (NAMED, "MAIL.example.test.", ("helo-ours",)),
        (NAMED, "mx2.example.test", ("helo-ours",)),
        (NAMED, "Example.test", ("helo-our-domain",)),
        (NAMED, "192.0.2.1", ("helo-bare-address",)),
        (NAMED, "2001:db8::1", ("helo-bare-address",)),
        (NAMED, "[192.0.2.1]", ()),
        (NAMED, "localhost", ("helo-no-dot",)),
        (NAMED, "", ("helo-no-dot",)),
    ],
)
def test_weak_signs(facts: CallerFacts, helo: str, signs: tuple[str, ...]) -> None:
    assert judge(facts, helo).signs == signs


def test_weak_signs_mark_and_never_refuse_alone() -> None:
    judgement = judge(CallerFacts(Status.NOT_FOUND), "friend", refuse_at=1, defer_at=1, sign_weight=100)
    assert judgement.decision.accepted
    assert judgement.marked
    assert (judgement.decision.rule, judgement.points) == ("caller-marked", 200)
    assert judgement.decision.reason == "200 points: no-reverse-dns, helo-no-dot"
    assert not judge(CallerFacts(Status.NOT_FOUND)).marked, "one alone says nothing"


def test_weak_signs_count_beside_a_list() -> None:
    facts = listed(WEAK, facts=CallerFacts(Status.NOT_FOUND))
    assert judge(facts, "friend", refuse_at=5).decision.accepted
    assert judge(facts, "friend", refuse_at=4).decision.rule == "caller-refused"


def test_thresholds_and_their_edges() -> None:
    assert judge(listed(BAD), refuse_at=6).decision.accepted
    assert judge(listed(BAD), refuse_at=0).decision.accepted
    deferred = judge(listed(WEAK), defer_at=2).decision
    assert (deferred.verdict, deferred.rule) == (Verdict.DEFER, "caller-deferred")
    assert str(deferred.reply) == "450 4.7.1 192.0.2.1 is listed by weak.test"
    assert judge(listed(WEAK), mark_at=2).marked
    assert not judge(listed(WEAK), mark_at=3).marked
    assert not judge(listed(WEAK), mark_at=0).marked


def test_a_list_of_good_ones_saves() -> None:
    assert judge(listed(BAD, GOOD)).decision.accepted
    assert judge(listed(GOOD)).points == -8


def test_when_a_list_of_good_ones_is_silent_nobody_is_refused_for_good() -> None:
    decision = judge(listed(BAD)._replace(unsure=True)).decision
    assert (decision.verdict, decision.rule) == (Verdict.DEFER, "caller-unsure")


def test_the_heaviest_list_is_named() -> None:
    assert "bad.test" in str(judge(listed(WEAK, BAD)).decision.reply)


def test_who_is_judged() -> None:
    judged = JudgedClients(
        Config(
            hostname="-",
            data_dir="-",
            callers=Callers(exempt=("8.8.8.0/24",), strangers=("127.1.0.0/16",)),
            doors=Doors(relay=DoorRules(proxies=("9.9.9.9/32",))),
        )
    )
    assert "1.1.1.1" in judged
    assert "2a00::1" in judged
    for address in ("127.0.0.1", "10.0.0.7", "::1", "fe80::1", "8.8.8.8", "9.9.9.9", "nonsense"):
        assert address not in judged
    assert "127.1.2.3" in judged


def test_who_counts_as_one_client() -> None:
    assert caller_key("192.0.2.1") == "192.0.2.1"
    assert caller_key("::ffff:192.0.2.1") == "192.0.2.1"
    assert caller_key("2001:db8:1:2::9") == caller_key("2001:db8:1:2:ffff::1") != caller_key("2001:db8:1:3::9")


def test_a_name_leads_back_whatever_its_form() -> None:
    assert is_confirmed("2001:db8::1", ("192.0.2.1", "2001:DB8:0::1"))
    assert not is_confirmed("192.0.2.1", ("192.0.2.2",))
    assert not is_confirmed("192.0.2.1", ())
