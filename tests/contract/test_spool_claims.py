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


# Turns, when more is due than is claimed ---------------------------------------------------------------------------


async def backlog(house, spool, count, **fields):
    for _ in range(count):
        await put(spool, leg(**fields), claim=False)
    house.clock.advance(1)


async def rest(spool, now, batch, **avoid):
    """What is claimed until nothing is due."""
    batches = []
    while claims := await spool.claim(now, batch, **avoid):
        assert len(claims) <= batch
        batches.append(claims)
    return batches


async def test_a_single_letter_does_not_wait_for_anothers_backlog(house, spool, other):
    """The sender's letters go to as many next hops as fit into a claim, and more."""
    for number in range(60):
        await put(spool, leg(flow="bulk", next_hop=f"mx:{number % 30}.test"), claim=False)
    house.clock.advance(1)
    single = await put(spool, leg(flow="alice", next_hop="mx:7.test"), claim=False)
    first, *more = await rest(other, house.clock.now(), 10)
    assert (single, 0) in names(first)
    assert len(first) == 10
    assert sum(map(len, more)) == 51


async def test_a_single_next_hop_does_not_wait_for_anothers_backlog(house, spool, other):
    for number in range(60):
        await put(spool, leg(flow=f"s{number % 30}.test", next_hop="mx:slow.test"), claim=False)
    house.clock.advance(1)
    single = await put(spool, leg(flow="s7.test", next_hop="mx:free.test"), claim=False)
    first, *more = await rest(other, house.clock.now(), 10)
    assert (single, 0) in names(first)
    assert sum(map(len, more)) == 51


async def test_claims_of_one_leg_are_fair_to_both(house, spool):
    await backlog(house, spool, 20, flow="bulk", next_hop="mx:slow.test")
    await backlog(house, spool, 1, flow="bulk", next_hop="mx:z.test")
    await backlog(house, spool, 1, flow="zoe", next_hop="mx:slow.test")
    claims = [claim for _ in range(4) for claim in await spool.claim(house.clock.now(), 1)]
    assert {(claim.leg.flow, claim.leg.next_hop) for claim in claims} == {
        ("bulk", "mx:slow.test"),
        ("bulk", "mx:z.test"),
        ("zoe", "mx:slow.test"),
    }


async def test_everybody_has_his_turn_and_gives_the_oldest(house, spool):
    order = {}
    for number in range(90):
        hop = "abc"[number % 3]
        letter = await put(spool, leg(flow=hop, next_hop=f"mx:{hop}.test"), claim=False)
        order.setdefault(hop, []).append(letter)
        house.clock.advance(1)
    seen = {hop: [] for hop in order}
    for claims in await rest(spool, house.clock.now(), 12):
        for hop in order:
            of_hop = [claim.letter for claim in claims if claim.leg.flow == hop]
            assert 2 <= len(of_hop) <= 6 or len(claims) < 12
            seen[hop] += of_hop
    assert seen == order


async def test_what_is_avoided_takes_nobodys_turn(house, spool):
    await backlog(house, spool, 40, flow="alice", next_hop="mx:slow.test")
    await backlog(house, spool, 40, flow="bob", next_hop="mx:slow.test")
    await backlog(house, spool, 30, flow="alice", next_hop="local")
    batches = await rest(spool, house.clock.now(), 10, avoid={"mx:slow.test"})
    assert [len(claims) for claims in batches] == [10, 10, 10]
    assert {claim.leg.next_hop for claims in batches for claim in claims} == {"local"}
    assert (await spool.counts())["waiting"] == 80


async def test_a_flow_may_be_called_as_a_next_hop_is(house, spool):
    await backlog(house, spool, 20, flow="local", next_hop="mx:far.test")
    batches = await rest(spool, house.clock.now(), 8, avoid={"local"})
    assert [len(claims) for claims in batches] == [8, 8, 4]


async def test_flows_without_a_name_have_turns_too(house, spool):
    await backlog(house, spool, 20, flow="bulk")
    nameless = [await put(spool, leg(flow=""), claim=False) for _ in range(2)]
    first, second, *_ = await rest(spool, house.clock.now(), 4)
    assert set(nameless) <= {claim.letter for claim in first + second}


async def test_high_priorities_come_first_but_not_alone(house, spool):
    await backlog(house, spool, 40, priority=4, flow="loud")
    await backlog(house, spool, 40, priority=-2, flow="quiet")
    first, *more = await rest(spool, house.clock.now(), 16)
    assert [claim.leg.priority for claim in first] == [4] * 14 + [-2] * 2
    assert sum(map(len, more)) == 64


async def test_what_is_not_due_takes_nobodys_turn(house, spool):
    now = house.clock.now()
    for number in range(40):
        (claim,) = await put(spool, leg(flow=f"s{number}", next_hop=f"mx:{number % 20}.test"))
        assert await spool.record(delayed(claim, now + (0 if number >= 25 else 3600)))
    batches = await rest(spool, now, 5)
    assert [len(claims) for claims in batches] == [5, 5, 5]
    assert (await spool.counts())["waiting"] == 25
