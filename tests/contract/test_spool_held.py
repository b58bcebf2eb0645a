"""The contract of `ports.spool` about letters that `accept` takes and holds, on every engine."""

from __future__ import annotations

import pytest

from ekiden.model.envelope import LegState
from ekiden.ports.spool import Selection, Steer
from tests.contract.spool_house import envelope, finished, gathered, leg, names, put

REASON = "content rule no-macros: the attachment a.docm holds macros"


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_held_letter_waits_for_whoever_releases_it(house, spool, other, size):
    content = b"Subject: post\r\n\r\n" + b"x" * size
    legs = leg("x@one.test", hold_reason=REASON), leg("y@two.test", next_hop="local", hold_reason=REASON)
    assert await put(spool, *legs, claim=True) == []
    (first,) = await spool.find(Selection())
    letter = await put(spool, *legs, claim=False, content=content)
    now = house.clock.now()
    assert await spool.claim(now + 99, 10) == await other.claim(now + 99, 10) == []
    assert await spool.next_due() is None
    (held,) = await other.find(Selection(letter=letter))
    assert [(one.state, one.hold_reason, one.next_attempt) for one in held.legs] == [(LegState.HELD, REASON, None)] * 2
    assert (await spool.counts())["held"] == 4
    found = await spool.content(letter)
    assert found is not None
    assert await gathered(found) == content
    assert await other.apply(Selection(letter=letter), Steer.RELEASE, now=now) == 2
    claims = await other.claim(now, 10)
    assert sorted(names(claims)) == [(letter, 0), (letter, 1)]
    for one in claims:
        assert await other.record(finished(one))
    assert [queued.letter for queued in await spool.find(Selection())] == [first.letter]


async def test_a_held_letter_survives_the_end_of_who_took_it(house, spool, other):
    await put(spool, leg(hold_reason=REASON))
    house.kill(spool)
    assert await other.free_claims(spool.incarnation) == 0
    (held,) = await other.find(Selection(state="held"))
    assert held.legs[0].hold_reason == REASON


async def test_a_letter_is_held_whole_or_not_at_all(spool):
    with pytest.raises(ValueError, match="with all its legs or with none"):
        await put(spool, leg(hold_reason=REASON), leg("y@two.test"))


async def test_what_is_held_is_found_by_how_its_reason_begins(house, spool, other):
    by_brake = await put(spool, leg(hold_reason="brake: volume"), claim=False)
    by_content = await put(spool, leg(hold_reason=REASON), claim=False)
    by_hand = await put(spool, claim=False)
    await spool.apply(Selection(letter=by_hand), Steer.HOLD, now=0.0, reason="held by me")
    await put(spool, claim=False)

    async def found(**fields):
        return [queued.letter for queued in await other.find(Selection(**fields))]

    assert await found(state="held") == [by_brake, by_content, by_hand]
    assert await found(hold="brake: ") == await found(hold="brake: ", domain="example.org") == [by_brake]
    assert await found(hold="content rule ", next_hop="mx:example.org") == [by_content]
    assert await found(hold="brake: ", next_hop="mx:z.test") == await found(hold="other") == []
    (claim,) = await other.claim_for_removal(by_content, Selection(hold="content rule "))
    assert await other.claim_for_removal(by_brake, Selection(hold="content rule ")) == []
    assert await found(state="held") == [by_brake, by_hand]
    await other.release([claim], house.clock.now())
    assert await found(state="held") == [by_brake, by_content, by_hand]
    assert await other.apply(Selection(hold="brake: "), Steer.RELEASE, now=house.clock.now()) == 1
    assert await found(state="held") == [by_content, by_hand]


@pytest.mark.parametrize("size", [10, 70_000, 300_000])
async def test_octets_of_a_draft_are_written_over(house, spool, other, size):
    draft = spool.begin()
    draft.write(b"X: first\r\n\r\n")
    draft.write(b"x" * size)
    draft.overwrite(3, b"other")
    draft.write(b"end")
    assert draft.size_octets == size + 15
    await spool.accept(draft, envelope(), [leg()], claim=False)
    found = await other.content(draft.letter)
    assert found is not None
    assert await gathered(found) == b"X: other\r\n\r\n" + b"x" * size + b"end"
