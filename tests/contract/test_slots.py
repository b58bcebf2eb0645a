"""The port `Slots`, on every engine: exact over all views, whatever they do and however they end."""

from __future__ import annotations

import random

import pytest

from ekiden.ports.slots import MOST_SLOTS, TOKEN_SECONDS, Slots
from ekiden.storage.machine.slots import MachineSlots
from ekiden.storage.memory.slots import MemorySlots
from tests.fakes.clock import FakeClock

SITE = "mx.far.test"


class SlotHouse:
    """Opens views of the same slots; `kill` ends one as the kernel does when a process dies."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        self.clock = FakeClock()
        self.views: list[MemorySlots | MachineSlots] = []

    def open(self):
        if self.engine == "memory":
            view = MemorySlots(self.clock, self.views[0] if self.views else None)
        else:
            view = MachineSlots(self.folder / "slots", self.clock.monotonic)
        self.views.append(view)
        return view

    def kill(self, view):
        if isinstance(view, MemorySlots):
            view.die()
        else:
            view._locks.close()
            view._rates.close()


@pytest.fixture(params=["memory", "machine"])
def slot_house(request, tmp_path):
    house = SlotHouse(request.param, tmp_path)
    yield house
    for view in house.views:
        view.close()


@pytest.fixture
def first(slot_house) -> Slots:
    return slot_house.open()


@pytest.fixture
def second(slot_house, first) -> Slots:
    return slot_house.open()


async def take_all(slots: Slots, limit: int, site: str = SITE):
    taken = []
    while slot := await slots.take(site, limit):
        taken.append(slot)
    return taken


@pytest.mark.parametrize("limit", [1, 2, 5, 200])
async def test_no_more_than_the_limit_over_all_views(first, second, limit) -> None:
    taken = []
    for view in [first, second] * limit:
        taken.append(await view.take(SITE, limit))
    given = [slot for slot in taken if slot]
    assert len(given) == limit
    assert sorted(slot.number for slot in given) == list(range(limit))
    assert await take_all(first, limit) == []
    assert await take_all(second, limit) == []


async def test_what_is_given_back_can_be_taken_by_anybody(first, second) -> None:
    mine = await take_all(first, 3)
    assert await second.take(SITE, 3) is None
    first.give(mine[1])
    theirs = await second.take(SITE, 3)
    assert theirs.number == mine[1].number
    second.give(theirs)
    assert await first.take(SITE, 3)


async def test_giving_twice_does_not_give_what_was_taken_anew(first, second) -> None:
    old = await first.take(SITE, 1)
    first.give(old)
    new = await first.take(SITE, 1)
    assert new.number == old.number
    first.give(old)
    assert await second.take(SITE, 1) is None
    first.give(new)
    first.give(new)
    assert await second.take(SITE, 1)
    first.give(new)
    assert await first.take(SITE, 1) is None


async def test_one_view_cannot_give_what_another_holds(first, second) -> None:
    slot = await first.take(SITE, 1)
    second.give(slot)
    assert await second.take(SITE, 1) is None


async def test_sites_do_not_share(first, second) -> None:
    assert len(await take_all(first, 2, "one.test")) == 2
    assert len(await take_all(second, 2, "two.test")) == 2
    assert len(await take_all(second, 2, "名.test")) == 2


async def test_a_dead_holder_gives_everything_at_once(slot_house, first, second) -> None:
    await take_all(first, 5)
    await take_all(first, 2, "other.test")
    assert await second.take(SITE, 5) is None
    slot_house.kill(first)
    assert len(await take_all(second, 5)) == 5
    assert len(await take_all(second, 2, "other.test")) == 2


async def test_closing_gives_everything_and_a_late_give_is_harmless(first, second) -> None:
    slot = await first.take(SITE, 1)
    first.close()
    assert await second.take(SITE, 1)
    first.give(slot)
    third = await second.take(SITE, 1)
    assert third is None


async def test_a_lowered_limit_waits_for_those_above(first, second) -> None:
    many = await take_all(first, 4)
    for slot in many[:3]:
        first.give(slot)
    assert await second.take(SITE, 2) is None
    assert await first.take(SITE, 2) is None
    first.give(many[3])
    assert len(await take_all(second, 2)) == 2
    assert await first.take(SITE, 3)


async def test_random_takers_never_exceed(slot_house) -> None:
    chance = random.Random(7)
    views = [slot_house.open() for _ in range(3)]
    held = [[] for _ in views]
    for _ in range(2000):
        mine = chance.randrange(3)
        if chance.random() < 0.6:
            slot = await views[mine].take(SITE, 5)
            assert (slot is None) == (sum(map(len, held)) == 5)
            held[mine] += [slot] if slot else []
        elif held[mine]:
            views[mine].give(held[mine].pop(chance.randrange(len(held[mine]))))
        numbers = [slot.number for slots in held for slot in slots]
        assert len(numbers) == len(set(numbers)) <= 5


async def test_the_largest_limit(first, second) -> None:
    assert (await first.take(SITE, MOST_SLOTS)).number == 0
    assert (await second.take(SITE, MOST_SLOTS)).number == 1


# ---- rates


@pytest.mark.parametrize("per_minute", [1, 2, 30, 60, 600])
async def test_no_window_holds_more_over_all_views(slot_house, first, second, per_minute) -> None:
    chance = random.Random(per_minute)
    found = []
    for _ in range(1500):
        slot_house.clock.advance(chance.uniform(0, 0.3))
        grant = await chance.choice((first, second)).spend("rate", per_minute, chance.choice((1, 5, 100)))
        found += [slot_house.clock.monotonic()] * grant.granted
    assert found
    for index in range(len(found) - per_minute):
        assert found[index + per_minute] - found[index] > 60 + TOKEN_SECONDS


async def test_a_seconds_worth_at_most_and_when_to_ask_again(slot_house, first, second) -> None:
    assert await first.spend("rate", 600, 100) == (11, 0.0)
    none = await second.spend("rate", 600, 1)
    assert none.granted == 0
    assert 0 < none.wait < 0.2
    slot_house.clock.advance(none.wait)
    assert (await second.spend("rate", 600, 100)).granted == 1


async def test_no_more_than_wanted(first, second) -> None:
    assert (await first.spend("rate", 600, 3)).granted == 3
    assert (await second.spend("rate", 600, 100)).granted == 8


async def test_rates_do_not_share(first) -> None:
    assert (await first.spend("one", 1, 1)).granted == 1
    assert (await first.spend("two", 1, 1)).granted == 1
    assert (await first.spend("one", 1, 1)).granted == 0


async def test_what_a_dead_process_took_is_spent(slot_house, first, second) -> None:
    assert (await first.spend("rate", 2, 1)).granted == 1
    slot_house.kill(first)
    assert (await second.spend("rate", 2, 1)).granted == 0


async def test_a_rate_that_was_changed_holds_at_once(slot_house, first) -> None:
    assert (await first.spend("rate", 1, 1)).granted == 1
    assert (await first.spend("rate", 6000, 1)).granted == 0
    slot_house.clock.advance(62)
    assert (await first.spend("rate", 6000, 1000)).granted == 101
    assert (await first.spend("rate", 1, 1)).granted == 0
