"""Greylisting: the first try waits, the second is taken."""

from __future__ import annotations

from ekiden.model.decision import Verdict
from ekiden.policy.greylist import GreylistFacts, decide_greylist, greylist_network


def test_the_first_try_and_one_too_early_are_put_off() -> None:
    decision = decide_greylist(GreylistFacts(trusted=False, age=None, delay=300))
    assert (decision.verdict, decision.rule) == (Verdict.DEFER, "greylisting")
    assert str(decision.reply) == "450 4.7.1 Greylisted: please try again later (300 s)"
    decision = decide_greylist(GreylistFacts(trusted=False, age=299.5, delay=300))
    assert str(decision.reply) == "450 4.7.1 Greylisted: please try again later (1 s)"


def test_who_comes_back_is_taken_and_so_is_who_did() -> None:
    assert decide_greylist(GreylistFacts(trusted=False, age=300, delay=300)).rule == "greylist-passed"
    assert decide_greylist(GreylistFacts(trusted=True, age=None, delay=300)).rule == "greylist-trusted"


def test_neighbours_are_one() -> None:
    assert greylist_network("192.0.2.1") == greylist_network("::ffff:192.0.2.200") == "192.0.2.0/24"
    assert greylist_network("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert greylist_network("nonsense") == "nonsense"
