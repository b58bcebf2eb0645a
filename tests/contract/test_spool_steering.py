"""The contract of `ports.spool` about listing and steering, on every engine."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ekiden.model.envelope import LegState, NewLeg, Origin, Recipient
from ekiden.model.outcome import OutcomeKind
from ekiden.ports.spool import Record, Selection, Steer
from tests.contract.spool_house import delayed, ended, envelope, finished, leg, names, put


async def fill(house, spool):
    """Letters a, b, c: two legs, another sender, a report; and what they are called."""
    first = await put(spool, leg("x@one.test"), leg("y@two.test"), claim=False)
    second = await put(
        spool, leg("z@One.Test."), claim=False, reverse_path="Carol@far.test", origin=Origin(account="c@a")
    )
    (third,) = await put(spool, leg("alice@example.test", next_hop="local"), reverse_path="")
    return {first: "a", second: "b", third.letter: "c"}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), "aa b c"),
        (Selection(domain="one.test"), "a b"),
        (Selection(domain="TWO.test"), "a"),
        (Selection(sender="carol@far.test"), "b"),
        (Selection(sender="@far.test"), "b"),
        (Selection(sender="<>"), "c"),
        (Selection(account="C@A"), "b"),
        (Selection(state="claimed"), "c"),
        (Selection(state="held"), ""),
        (Selection(state="waiting", domain="one.test", sender="@example.test"), "a"),
        (Selection(limit=2), "aa b"),
    ],
)
async def test_find(house, spool, other, selection, expected):
    letters = await fill(house, spool)
    found = await other.find(selection)
    assert " ".join(letters[queued.letter] * len(queued.legs) for queued in found) == expected


async def test_find_tells_all_of_a_letter_and_pages_in_the_order_of_ids(house, spool):
    letters = sorted([await put(spool, claim=False) for _ in range(30)])
    seen, after = [], None
    while page := await spool.find(Selection(after=after, limit=7)):
        assert len(page) <= 7
        seen += [queued.letter for queued in page]
        after = seen[-1]
    assert seen == letters
    (one,) = await spool.find(Selection(letter=letters[3]))
    assert one.envelope == envelope()
    assert [(queued.number, queued.state, queued.next_attempt) for queued in one.legs] == [
        (0, LegState.WAITING, house.clock.now())
    ]
    assert await spool.find(Selection(letter=letters[-1] + 1)) == []


async def test_hold_release_and_retry(house, spool, other):
    (waiting,) = await put(spool)
    (claimed,) = await put(spool)
    now = house.clock.now()
    later = now + 3600
    await spool.record(delayed(waiting, later))
    assert await other.apply(Selection(), Steer.RELEASE, now=now) == 0
    assert await other.apply(Selection(), Steer.HOLD, now=now, reason="asked the sender") == 1
    (held,) = await spool.find(Selection(state="held"))
    assert (held.letter, held.legs[0].hold_reason, held.legs[0].next_attempt) == (
        waiting.letter,
        "asked the sender",
        None,
    )
    assert await spool.claim(later + 9, 10) == []
    assert await other.apply(Selection(), Steer.RETRY, now=now) == 0
    assert await other.apply(Selection(letter=waiting.letter), Steer.RELEASE, now=later) == 1
    assert await spool.next_due() == later
    assert await other.apply(Selection(), Steer.RETRY, now=now) == 1
    assert names(await spool.claim(now, 10)) == names([waiting])
    assert await spool.record(finished(claimed)) is True


async def test_apply_is_not_bound_by_the_limit_of_listings(house, spool):
    for _ in range(5):
        await put(spool, *[leg(f"{n}@x.test") for n in range(30)], claim=False)
    told = []
    assert await spool.apply(Selection(limit=2, domain="x.test"), Steer.HOLD, now=0.0, changed=told.append) == 150
    assert sum(told) == (await spool.counts())["held"] == 150
    assert await spool.apply(Selection(domain="x.test"), Steer.HOLD, now=0.0, changed=told.append) == 0
    assert sum(told) == 150


async def test_find_by_next_hop_and_last_error(house, spool, other):
    (claim,) = await put(spool, leg("x@one.test", "y@one.test", next_hop="route:*"))
    errors = [
        Recipient("x@one.test", last_error="450 4.2.0 busy"),
        Recipient("y@one.test", last_error="451 Greylisted"),
    ]
    await spool.record(Record(claim, ended(claim, OutcomeKind.DELAYED), remaining=errors, next_attempt=5.0))
    plain = await put(spool, leg("x@one.test", next_hop="mx:one.test"), claim=False)

    async def found(**fields):
        return [queued.letter for queued in await other.find(Selection(**fields))]

    assert await found(next_hop="route:*") == await found(error="greylisted") == [claim.letter]
    assert await found(next_hop="mx:one.test") == [plain]
    assert await found(next_hop="mx:ONE") == await found(error="greylisted", next_hop="mx:one.test") == []
    assert await other.apply(Selection(error="4.2.0 BUSY"), Steer.HOLD, now=0.0, reason="why") == 1
    assert [queued.letter for queued in await spool.find(Selection(state="held"))] == [claim.letter]


async def test_find_by_age(house, spool, other):
    letters, times = [], []
    for _ in range(3):
        times.append(house.clock.now())
        letters.append(await put(spool, claim=False))
        house.clock.advance(60)

    async def found(**fields):
        return [queued.letter for queued in await other.find(Selection(**fields))]

    assert await found(arrived_before=times[2]) == letters[:2]
    assert await found(arrived_after=times[1]) == letters[1:]
    assert await found(arrived_after=times[1], arrived_before=times[2]) == letters[1:2]
    assert await found(arrived_before=0.0) == await found(letter=letters[0], arrived_after=times[1]) == []
    assert await found(after=letters[1], arrived_after=times[0]) == letters[2:]
    assert await other.apply(Selection(arrived_before=times[1]), Steer.HOLD, now=0.0) == 1


async def test_a_letter_with_more_legs_than_a_page_is_found_whole(house, spool):
    many = await put(spool, *[leg(f"{n}@x.test", next_hop=f"mx:{n % 2}.test") for n in range(2300)], claim=False)
    last = await put(spool, claim=False)
    for limit, expected in ((1, [(many, 2300)]), (2, [(many, 2300), (last, 1)]), (9, [(many, 2300), (last, 1)])):
        found = await spool.find(Selection(limit=limit))
        assert [(queued.letter, len(queued.legs)) for queued in found] == expected
    (half,) = await spool.find(Selection(next_hop="mx:1.test"))
    assert [one.number for one in half.legs] == list(range(1, 2300, 2))


async def test_a_selection_takes_legs_for_removal_as_they_are_at_that_moment(house, spool):
    legs = (leg("a@x.test"), leg("b@y.test", next_hop="mx:y.test"), leg("c@x.test", next_hop="local"))
    letter = await put(spool, *legs, claim=False)
    await spool.apply(Selection(letter=letter, next_hop="local"), Steer.HOLD, now=0.0)
    nobody = (Selection(sender="eve@x.test"), Selection(account="eve"), Selection(letter=letter + 1))
    for selection in (*nobody, Selection(next_hop="mx:z.test"), Selection(arrived_before=0.0)):
        assert await spool.claim_for_removal(letter, selection) == []
    assert names(await spool.claim_for_removal(letter, Selection(state="waiting", domain="x.test"))) == [(letter, 0)]
    assert names(await spool.claim_for_removal(letter, Selection(sender="@example.test"))) == [(letter, 1), (letter, 2)]


async def test_shape_counts_legs_by_next_hop_and_age(house, spool, other):
    assert await spool.shape([house.clock.now()]) == {}
    await put(spool, leg(), leg(next_hop="local"))
    house.clock.advance(100)
    edge = house.clock.now()
    await put(spool, leg(), leg(next_hop="local"), claim=False)
    house.clock.advance(100)
    held = await put(spool, claim=False)
    await spool.apply(Selection(letter=held), Steer.HOLD, now=0.0)
    shape = {"mx:example.org": [1, 1, 1], "local": [0, 1, 1]}
    assert await other.shape([house.clock.now(), edge]) == shape
    assert await other.shape([]) == {key: [sum(counts)] for key, counts in shape.items()}


# Rerouting ---------------------------------------------------------------------------------------------------------


def to_elsewhere(envelope, leg):
    recipients = [msgspec.structs.replace(recipient, via="smtp://192.0.2.1:25") for recipient in leg.recipients]
    return [NewLeg("via:smtp://192.0.2.1:25", recipients)]


async def test_what_waits_or_is_held_goes_another_way(house, spool, other):
    (claimed,) = await put(spool)
    (claim,) = await put(spool, leg(flow="alice", priority=2))
    now = house.clock.now()
    await spool.record(delayed(claim, now + 3600))
    held = await put(spool, claim=False)
    await spool.apply(Selection(letter=held), Steer.HOLD, now=now, reason="asked")
    await put(spool, leg(next_hop="local"), claim=False)
    told = []
    meant = Selection(next_hop="mx:example.org")
    assert await other.reroute(meant, to_elsewhere, now=now, changed=told.append) == sum(told) == 2
    assert await other.reroute(meant, to_elsewhere, now=now) == 0
    assert await other.reroute(Selection(next_hop="via:smtp://192.0.2.1:25"), to_elsewhere, now=now) == 0
    assert await spool.waiting("via:smtp://192.0.2.1:25") == 1
    assert await spool.waiting("mx:example.org") == 0
    (moved,) = await spool.claim(now, 10, avoid={"local"})
    assert (moved.letter, moved.leg.next_hop) == (claim.letter, "via:smtp://192.0.2.1:25")
    assert moved.leg.recipients == [Recipient("bob@example.org", via="smtp://192.0.2.1:25")]
    assert (moved.leg.attempts, moved.leg.flow, moved.leg.priority) == (1, "alice", 2)
    (stays,) = await spool.find(Selection(letter=held))
    assert (stays.legs[0].state, stays.legs[0].next_hop) == (LegState.HELD, "via:smtp://192.0.2.1:25")
    assert await spool.record(finished(claimed))


async def test_a_leg_whose_ways_part_becomes_several(house, spool, other):
    def by_domain(envelope, one):
        return [NewLeg(f"mx:{r.forward_path.partition('@')[2]}", [r]) for r in one.recipients]

    now = house.clock.now()
    many = leg("a@x.test", "b@y.test", "c@z.test", next_hop="route:*", flow="alice", priority=1)
    (claim,) = await put(spool, many)
    await spool.record(delayed(claim, now + 60))
    held = await put(spool, many, claim=False)
    await spool.apply(Selection(letter=held), Steer.HOLD, now=now, reason="asked")
    assert await other.reroute(Selection(), by_domain, now=now) == 2
    claims = await other.claim(now, 10)
    assert [(c.leg.number, c.leg.next_hop, c.leg.attempts, c.leg.flow, c.leg.priority) for c in claims] == [
        (number, hop, 1, "alice", 1) for number, hop in enumerate(("mx:x.test", "mx:y.test", "mx:z.test"))
    ]
    (found,) = await spool.find(Selection(letter=held))
    assert [(one.state, one.hold_reason) for one in found.legs] == [(LegState.HELD, "asked")] * 3
    assert await other.apply(Selection(letter=held), Steer.RELEASE, now=now) == 3
    for one in claims + await other.claim(now, 10):
        assert await other.record(finished(one))
    assert (await spool.counts())["letters"] == 0


async def test_no_recipient_is_lost_on_another_way(house, spool):
    await put(spool, leg("a@x.test", "b@y.test"), claim=False)
    for wrong in ([], [leg("a@x.test")], [leg("a@x.test", "b@y.test"), leg("a@x.test")]):
        with pytest.raises(ValueError, match=r"vanish|would not all"):
            await spool.reroute(Selection(), lambda envelope, one, wrong=wrong: wrong, now=0.0)
    assert len((await spool.find(Selection()))[0].legs[0].recipients) == 2


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
async def test_a_leg_that_is_tried_while_its_way_is_thought_over_keeps_it(house, spool, other):
    """Two views in one process: the other one claims between reading and changing. The spool in memory does it in one
    step."""
    letter = await put(spool, claim=False)
    taken = []

    def meanwhile(envelope, one):
        taken.append(asyncio.ensure_future(other.claim(house.clock.now(), 1)))
        return to_elsewhere(envelope, one)

    slow = spool._do

    def after_the_claim(act, abandoned=None):
        async def wait():
            await taken[0]
            return await slow(act, abandoned)

        return asyncio.ensure_future(wait())

    spool._do = after_the_claim
    assert await spool.reroute(Selection(), meanwhile, now=house.clock.now()) == 0
    spool._do = slow
    assert names(await taken[0]) == [(letter, 0)]
    assert (await spool.find(Selection()))[0].legs[0].next_hop == "mx:example.org"
