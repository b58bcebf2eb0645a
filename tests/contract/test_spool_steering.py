"""The contract of `ports.spool` about listing and steering, on every engine."""

from __future__ import annotations

import pytest

from ekiden.model.envelope import LegState, Origin, Recipient
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
