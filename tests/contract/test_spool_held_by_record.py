"""The contract of `ports.spool` about what `record` holds, on every engine."""

from __future__ import annotations

from ekiden.model.envelope import LegState
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record, Selection, Steer
from tests.contract.spool_house import finished, leg, put

REASON = "detour: smtp.provider.test does not take <a@example.test> as a sender of ours"


def held(claim):
    outcomes = [
        Outcome(recipient.forward_path, OutcomeKind.DELAYED, 451, "4.7.0", "not owned")
        for recipient in claim.leg.recipients
    ]
    return Record(claim, outcomes, remaining=claim.leg.recipients, next_attempt=5.0, hold_reason=REASON)


async def test_what_an_attempt_holds_waits_for_whoever_releases_it(house, spool, other):
    (claim,) = await put(spool, leg("x@one.test"), claim=True)
    assert await spool.record(held(claim))
    now = house.clock.now()
    assert await spool.claim(now + 99, 10) == await other.claim(now + 99, 10) == []
    (queued,) = await other.find(Selection(state="held"))
    (one,) = queued.legs
    assert (one.state, one.hold_reason, one.next_attempt, one.attempts) == (LegState.HELD, REASON, None, 1)
    (entry,) = await spool.trail(claim.letter)
    assert entry.next_attempt is None
    assert await other.apply(Selection(letter=claim.letter), Steer.RELEASE, now=now) == 1
    (again,) = await other.claim(now, 10)
    assert again.leg.hold_reason == ""
    assert await other.record(finished(again))
    assert await spool.find(Selection()) == []


async def test_a_lost_claim_holds_nothing(house, spool, other):
    (claim,) = await put(spool, leg("x@one.test"), claim=True)
    house.kill(spool)
    await other.free_claims(spool.incarnation)
    (mine,) = await other.claim(house.clock.now(), 10)
    assert not await other.record(held(claim)) or mine.leg.number == claim.leg.number
