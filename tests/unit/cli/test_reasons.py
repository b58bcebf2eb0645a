"""Why a leg waits: one sentence and one word for each cause."""

from __future__ import annotations

import pytest

from ekiden.admin import causes
from ekiden.admin.hindrances import Hindrances
from ekiden.cli import reasons
from ekiden.model.envelope import Leg, LegState, Recipient
from ekiden.model.ids import LetterId
from ekiden.ports.spool import SiteStatus, Suspension

NOW = 1_767_225_600.0
FAR = Suspension("far.test", NOW + 600, "they asked", "root", NOW - 60)


def leg(**fields):
    fields.setdefault("next_attempt", NOW + 720)
    return Leg(LetterId(1), 0, fields.pop("next_hop", "mx:far.test"), [], **fields)


def site(state, until=None, reason="452 4.3.1 full", hops=("mx:far.test",)):
    return SiteStatus("mx.far.test", state, reason, NOW - 60, until, list(hops), 2)


def failed(error="450 4.2.0 busy", **fields):
    one = leg(attempts=2, **fields)
    one.recipients = [Recipient("a@far.test"), Recipient("b@far.test", last_error=error)]
    return one


RESTS = site("resting", NOW + 600, "451 4.4.1 mx: connection refused")


@pytest.mark.parametrize(
    ("one", "known", "word", "due", "sentence"),
    [
        (leg(), (), "waiting", "in 12m", "its first attempt is due at"),
        (failed(), (), "waiting", "in 12m", "the next hop refuses it for now; the next attempt is due at"),
        (leg(next_attempt=NOW - 1), (), "due", "now", "its turn has not come: its time has come"),
        (leg(state=LegState.HELD, next_attempt=None), (FAR,), "held", "held", "a person holds it, and it stays"),
        (leg(state=LegState.CLAIMED, next_attempt=None), (FAR,), "being tried", "being tried", "a worker has it"),
        (leg(), (FAR,), "suspended", "suspended", "a person suspended its site: far.test is suspended until"),
        (leg(next_attempt=NOW - 1), (FAR,), "suspended", "suspended", "(by root: they asked); it goes when that ends"),
        (leg(next_hop="mx:other.test"), (FAR,), "waiting", "in 12m", "its first attempt"),
        (leg(), (Suspension("far.test", NOW),), "waiting", "in 12m", "its first attempt"),
        (leg(next_attempt=NOW + 600), (RESTS,), "resting", "rests, in 10m", "its site rests until 20"),
        (leg(next_attempt=NOW - 9), (RESTS,), "resting", "rests, now", "the last failure: 451 4.4.1 mx: connection"),
        (leg(next_attempt=NOW + 900), (RESTS,), "waiting", "in 15m", "its first attempt"),
        (leg(), (site("resting", NOW + 600, hops=["mx:b"]),), "waiting", "in 12m", "its first attempt"),
        (leg(next_attempt=NOW), (site("resting", NOW - 1),), "due", "now", "its time has come"),
        (
            failed("451 4.7.5 x", next_attempt=NOW),
            (RESTS,),
            "resting",
            "rests, now",
            "no secure connection comes about",
        ),
        (
            leg(next_attempt=NOW),
            (site("limits", reason="in use: 2"),),
            "limited",
            "in line",
            "at its limits: in use: 2",
        ),
        (leg(), (site("slots", reason="others have them"),), "limited", "in line", "limits: others have them"),
        (failed(), (site("limits"),), "waiting", "in 12m", "refuses it for now"),
        (leg(), (site("suspended", reason="asked"),), "suspended", "suspended", "its site: mx.far.test: asked"),
        (
            leg(state=LegState.CLAIMED, next_attempt=None),
            (site("limits", reason="in use: 2"),),
            "being tried",
            "being tried",
            "next in line for its site; its site is at its limits: in use: 2",
        ),
        (leg(), (site("limits"), RESTS, site("resting", NOW + 5)), "waiting", "in 12m", "its first attempt"),
    ],
)
def test_why_it_waits(one, known, word, due, sentence):
    suspensions = [entry for entry in known if isinstance(entry, Suspension)]
    hindrances = Hindrances(suspensions, [entry for entry in known if isinstance(entry, SiteStatus)])
    assert causes.state_of(one, hindrances, NOW) == word
    assert reasons.due_text(one, hindrances, NOW) == due
    assert sentence in reasons.why_text(one, hindrances, NOW)


def test_sites_in_words_and_for_programs():
    many = site("resting", NOW + 600, hops=["mx:a.test", "route:out", "mx:c.test"])
    row = ("mx.far.test", "rests, 10m", "1m ago", "7", "2", 'MX of a.test, route "out" and 1 more')
    assert reasons.site_row(many, 7, NOW) == row
    assert reasons.hindered_text(many, NOW + 601) == "rested, is tried"
    assert reasons.hindered_text(None, NOW) == ""
    assert reasons.site_json(site("limits"), 3) == {
        "site": "mx.far.test",
        "state": "limits",
        "reason": "452 4.3.1 full",
        "since": "2025-12-31T23:59:00Z",
        "until": None,
        "connections": 2,
        "next_hops": ["mx:far.test"],
        "waiting": 3,
        "told_by": None,
    }


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
