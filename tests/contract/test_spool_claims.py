"""The contract of `ports.spool` about claims that pass next hops over, and suspensions, on every engine."""

from __future__ import annotations

from ekiden.ports.spool import Suspension
from tests.contract.spool_house import delayed, leg, names, put


async def test_a_claim_passes_over_next_hops_that_are_to_be_avoided(house, spool, other):
    now = house.clock.now()
    for _ in range(5):
        await put(spool, leg(next_hop="mx:busy.test", priority=3), leg(next_hop="mx:slow.test"), claim=False)
    letter = await put(spool, leg(next_hop="local"), leg(next_hop="mx:free.test", priority=-1), claim=False)
    avoid = {"mx:busy.test", "mx:slow.test", "mx:unknown.test"}
    assert names(await other.claim(now, 10, avoid=avoid)) == [(letter, 0), (letter, 1)]
    assert await other.claim(now, 10, avoid=avoid) == []
    busy = await spool.claim(now, 10, avoid=["mx:slow.test"])
    assert [claim.leg.next_hop for claim in busy] == ["mx:busy.test"] * 5


async def test_what_is_avoided_is_not_what_is_due_next(house, spool, other):
    now = house.clock.now()
    for number, due in enumerate((5, 7, 6)):
        (claim,) = await put(spool, leg(next_hop=f"mx:{number}.test"))
        assert await spool.record(delayed(claim, now + due))
    assert await other.next_due() == now + 5
    assert await other.next_due({"mx:0.test"}) == now + 6
    assert await other.next_due({"mx:0.test", "mx:2.test"}) == now + 7
    assert await other.next_due({"mx:0.test", "mx:1.test", "mx:2.test"}) is None


async def test_suspensions_are_seen_by_everybody_and_end_by_themselves(house, spool, other):
    now = house.clock.now()
    hour = Suspension("mx:far.test", now + 3600, "they asked for it", "root", now)
    for_good = Suspension("local", None, by="root", since=now)
    await spool.suspend_site(hour)
    await spool.suspend_site(for_good)
    assert await other.suspensions() == [for_good, hour]
    assert [one.lasts(now + 3599) for one in (for_good, hour)] == [True, True]
    assert [one.lasts(now + 3600) for one in (for_good, hour)] == [True, False]
    longer = Suspension("mx:far.test", now + 7200, "still", "alice", now)
    await other.suspend_site(longer)
    assert await spool.suspensions() == [for_good, longer]
    assert await spool.resume_site("mx:other.test") is False
    assert await other.resume_site("local") is True
    assert await spool.resume_site("local") is False
    house.clock.advance(7200)
    assert await spool.resume_site("mx:far.test") is False
    assert await other.suspensions() == []
