"""The contract of `ports.spool` about what workers say of sites, and letters that nobody tries, on every engine."""

from __future__ import annotations

import msgspec

from ekiden.model.envelope import Recipient
from ekiden.ports.spool import Overdue, Selection, SiteStatus, Steer
from tests.contract.spool_house import delayed, leg, names, put

RESTING = SiteStatus("mx.far.test", "resting", "it rests", 5.0, 15.0, ["mx:far.test", "mx:other.test"], 20)


async def test_what_a_worker_says_of_sites_everybody_sees_until_it_is_taken_back(house, spool, other):
    limits = SiteStatus("a.test", "limits", "all 2 connections are in use", 7.0, connections=2)
    await spool.tell_sites([RESTING, limits], [])
    for view in (spool, other):
        assert [one.told_by for one in await view.site_statuses()] == [spool.incarnation] * 2
    assert [msgspec.structs.replace(one, told_by=0) for one in await other.site_statuses()] == [limits, RESTING]
    await other.tell_sites([msgspec.structs.replace(RESTING, until=99.0)], ["a.test"])
    assert [(one.site, one.until) for one in await spool.site_statuses()] == [
        ("a.test", None),
        ("mx.far.test", 15.0),
        ("mx.far.test", 99.0),
    ]
    await spool.tell_sites([msgspec.structs.replace(RESTING, until=30.0)], ["a.test", "never.told"])
    assert [one.until for one in await spool.site_statuses()] == [30.0, 99.0]


async def test_what_the_dead_said_of_sites_does_not_count(house, spool, other):
    await other.tell_sites([RESTING], [])
    house.kill(other)
    assert await spool.site_statuses() == []
    await spool.free_claims(other.incarnation)
    assert await spool.site_statuses() == []


async def test_who_closes_takes_back_what_it_said_of_sites(house, spool, other):
    await other.tell_sites([RESTING], [])
    await other.close()
    assert await spool.site_statuses() == []


def overdue(house, *next_hops, after=None, limit=100):
    now = house.clock.now()
    return Overdue(next_hops or ("mx:example.org",), now - 3600, now - 7200, after, limit)


async def test_overdue_letters_are_claimed_the_oldest_first(house, spool, other):
    start, letters = house.clock.now(), []
    for later in (0, 1000, 3000, 1000, 3900):
        house.clock.advance(later)
        letters.append(await put(spool, leg(), leg("x@b.test", next_hop="mx:b.test"), claim=False))
    house.clock.advance(100)
    claims, more = await other.claim_overdue(overdue(house, limit=3))
    assert names(claims) == [(letter, 0) for letter in letters[:3]]
    assert claims[0].leg.next_attempt == start
    assert claims[0].content.octets
    rest, more = await other.claim_overdue(overdue(house, after=more))
    assert (names(rest), more) == ([(letters[3], 0)], None)
    assert await spool.claim_overdue(overdue(house)) == ([], None)
    found = {one.letter: one.legs[0].state for one in await spool.find(Selection(state="claimed"))}
    assert set(found) == set(letters[:4])


async def test_who_was_told_of_the_delay_is_overdue_only_when_it_expires(house, spool):
    (claim,) = await put(spool)
    told = delayed(claim, house.clock.now() + 50)
    told.remaining = [Recipient("bob@example.org", delay_reported=True)]
    assert await spool.record(told)
    house.clock.advance(3700)
    assert await spool.claim_overdue(overdue(house)) == ([], None)
    house.clock.advance(3700)
    (expired,), _ = await spool.claim_overdue(overdue(house))
    assert expired.letter == claim.letter


async def test_what_is_held_tried_or_goes_elsewhere_is_not_overdue(house, spool, other):
    held = await put(spool, claim=False)
    await spool.apply(Selection(letter=held), Steer.HOLD, now=house.clock.now(), reason="wait")
    await put(spool)
    await put(spool, leg(next_hop="local"), claim=False)
    house.clock.advance(9000)
    assert await other.claim_overdue(overdue(house)) == ([], None)


async def test_a_sweep_goes_through_a_long_queue_in_steps(house, spool):
    """More than one reading's worth, and what is meant stands at its end."""
    for _ in range(2100):
        await put(spool, leg(next_hop="local"), claim=False)
    letter = await put(spool, claim=False)
    house.clock.advance(9000)
    found, after, steps = [], None, 0
    while True:
        claims, after = await spool.claim_overdue(overdue(house, after=after))
        found += names(claims)
        steps += 1
        if after is None:
            break
    assert found == [(letter, 0)]
    assert steps < 10
