"""Why a leg waits: one sentence and one word for each cause."""

from __future__ import annotations

import pytest

from ekiden.cli import reasons
from ekiden.model.envelope import Leg, LegState
from ekiden.model.ids import LetterId
from ekiden.ports.spool import Suspension

NOW = 1_767_225_600.0
FAR = Suspension("far.test", NOW + 600, "they asked", "root", NOW - 60)


def leg(**fields):
    fields.setdefault("next_attempt", NOW + 720)
    return Leg(LetterId(1), 0, fields.pop("next_hop", "mx:far.test"), [], **fields)


@pytest.mark.parametrize(
    ("one", "suspensions", "word", "due", "sentence"),
    [
        (leg(), (), "waiting", "in 12m", "its first attempt is due at"),
        (leg(attempts=2), (), "waiting", "in 12m", "the last attempt did not bring it away; the next one is due at"),
        (leg(next_attempt=NOW - 1), (), "due", "now", "its time has come"),
        (leg(state=LegState.HELD, next_attempt=None), (FAR,), "held", "held", "a person holds it"),
        (leg(state=LegState.CLAIMED, next_attempt=None), (FAR,), "being tried", "being tried", "a worker has it"),
        (leg(), (FAR,), "suspended", "suspended", "far.test is suspended until"),
        (leg(next_attempt=NOW - 1), (FAR,), "suspended", "suspended", "(by root: they asked); it goes when that ends"),
        (leg(next_hop="mx:other.test"), (FAR,), "waiting", "in 12m", "its first attempt"),
        (leg(), (Suspension("far.test", NOW),), "waiting", "in 12m", "its first attempt"),
    ],
)
def test_why_it_waits(one, suspensions, word, due, sentence):
    assert reasons.state_of(one, NOW, suspensions) == word
    assert reasons.due_text(one, NOW, suspensions) == due
    assert sentence in reasons.why_text(one, NOW, suspensions)


def test_suspensions_in_words_and_for_programs():
    for_good = Suspension("route:out", by="alice")
    assert reasons.suspension_text(for_good) == 'route "out" is suspended until it is resumed (by alice)'
    assert reasons.suspension_row(for_good, 3, NOW) == ('route "out"', "3", "resumed", "alice", "")
    assert reasons.suspension_row(FAR, 0, NOW)[2].endswith(", in 10m")
    assert reasons.suspension_json(FAR, 7) == {
        "site": "far.test",
        "since": "2025-12-31T23:59:00Z",
        "until": "2026-01-01T00:10:00Z",
        "by": "root",
        "reason": "they asked",
        "waiting": 7,
    }
    assert reasons.waiting_text("route:out", 0) == "no legs wait there"
    assert reasons.waiting_text("far.test", 1) == "1 leg waits for the domain far.test"
    assert "if it is an MX host" in reasons.waiting_text("mx1.far.test", 0)


def test_a_way_that_was_rerouted_in_words():
    assert reasons.hop_text("via:smtp://192.0.2.1:25") == "smtp://192.0.2.1:25 (rerouted)"
