"""The port `Tally`, on every engine: one count over all views, and nothing kept longer than it means something."""

from __future__ import annotations

import random

import pytest

from ekiden.ports.tally import MOST_DISTINCT, Tally
from ekiden.storage.machine.tally import MachineTally
from ekiden.storage.machine.tally_memory import TallyMemory
from ekiden.storage.memory.tally import MemoryTally
from tests.fakes.clock import FakeClock

NAME = "guesses:192.0.2.0/24"
DAY = 86_400.0


class TallyHouse:
    """Opens views of the same counts; `kill` ends one as the kernel and the supervisor do when a worker dies."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        self.clock = FakeClock()
        self.memory = TallyMemory(3)
        self.views: list[MemoryTally | MachineTally] = []

    def open(self):
        if self.engine == "memory":
            view = MemoryTally(self.clock, self.views[0] if self.views else None)
        else:
            view = MachineTally(self.folder / "guards", self.memory, len(self.views), self.clock.monotonic)
        self.views.append(view)
        return view

    def kill(self, view):
        if isinstance(view, MemoryTally):
            view.die()
        else:
            view._locks.close()
            self.memory.free(self.views.index(view))


@pytest.fixture(params=["memory", "machine"])
def tally_house(request, tmp_path):
    house = TallyHouse(request.param, tmp_path)
    yield house
    for view in house.views:
        view.close()


@pytest.fixture
def clock(tally_house) -> FakeClock:
    return tally_house.clock


@pytest.fixture
def first(tally_house) -> Tally:
    return tally_house.open()


@pytest.fixture
def second(tally_house, first) -> Tally:
    return tally_house.open()


# ---- counts


def test_all_views_see_one_count(first, second) -> None:
    assert first.add(NAME, 60) == 1
    assert second.add(NAME, 60, 4) == 5
    assert first.count(NAME, 60) == 5
    assert first.add(NAME, 60, 0) == 5


def test_names_do_not_share(first) -> None:
    first.add("one", 60)
    assert first.add("two", 60) == 1
    assert first.count("three", 60) == 0
    assert first.add("\udcff", 60) == 1  # octets of a login that are no text


def test_a_count_is_over_after_its_window(first, second, clock) -> None:
    first.add(NAME, 60, 3)
    clock.advance(60)
    assert second.count(NAME, 60) == 3, "never less than what the window holds"
    clock.advance(60 / 7 + 0.1)
    assert second.count(NAME, 60) == 0
    assert second.add(NAME, 60) == 1


def test_no_window_holds_more_than_was_allowed(tally_house, first, second, clock) -> None:
    """Whoever adds only below the limit never exceeds it, wherever a window begins."""
    chance = random.Random(5)
    times = []
    for _ in range(3000):
        clock.advance(chance.uniform(0, 4))
        view = chance.choice((first, second))
        if view.count(NAME, 60) < 10:
            view.add(NAME, 60)
            times.append(clock.monotonic())
    assert len(times) > 500
    for index in range(len(times) - 10):
        assert times[index + 10] - times[index] > 60


@pytest.mark.parametrize("window", [10.0, 60.0, 3600.0, DAY, 30 * DAY])
def test_waiting_as_long_as_was_said_is_enough_and_no_less(first, clock, window) -> None:
    chance = random.Random(int(window))
    for _ in range(40):
        clock.advance(chance.uniform(0, window / 9))
        first.add(NAME, window, chance.randrange(5))
        count, most = first.count(NAME, window), chance.randrange(12)
        wait = first.wait(NAME, window, most)
        assert (wait == 0) == (count <= most)
        if wait:
            clock.advance(max(wait - 0.01, 0))
            assert first.count(NAME, window) > most
            clock.advance(0.01)
            assert first.count(NAME, window) <= most


def test_a_window_too_short_is_our_mistake(first) -> None:
    with pytest.raises(ValueError, match="shorter"):
        first.add(NAME, 1)


def test_a_forgotten_count_begins_anew(first, second) -> None:
    first.add(NAME, 60, 9)
    second.forget(NAME)
    assert first.add(NAME, 60) == 1
    first.forget("never seen")


def test_large_amounts_end_at_what_fits(first) -> None:
    assert first.add(NAME, DAY, 2**31) == 2**31
    assert first.add(NAME, DAY, 2**33) >= 2**32 - 1


# ---- distinct items


def test_what_was_seen_counts_once_over_all_views(first, second, clock) -> None:
    assert first.add_distinct(NAME, b"stale password", 3600) == 1
    for _ in range(50):
        clock.advance(300)
        assert second.add_distinct(NAME, b"stale password", 3600) <= 1
    assert second.add_distinct(NAME, b"another", DAY) >= 1


def test_distinct_items_are_told_apart(first, second) -> None:
    for number in range(MOST_DISTINCT):
        assert first.add_distinct(NAME, b"%d" % number, 3600) == number + 1
    for number in range(MOST_DISTINCT - 1):
        second.add_distinct("other", b"%d" % number, 3600)
    assert second.add_distinct("other", b"1", 3600) == MOST_DISTINCT - 1
    assert first.add_distinct(NAME, b"1", 3600) == MOST_DISTINCT + 1, "beyond that each counts"


def test_an_item_belongs_to_its_name(first) -> None:
    assert first.add_distinct("one", b"x", 60) == 1
    assert first.add_distinct("two", b"x", 60) == 1
    assert first.add_distinct("tw", b"ox", 60) == 1


# ---- memories


def test_a_memory_knows_since_when(first, second, clock) -> None:
    assert first.recall(NAME) is None
    assert first.remember(NAME, 100) is None
    clock.advance(60)
    assert second.recall(NAME) == pytest.approx(60, abs=0.01)
    assert second.remember(NAME, 100) == pytest.approx(60, abs=0.01)
    clock.advance(99)
    assert first.recall(NAME) == pytest.approx(159, abs=0.01)
    clock.advance(3)
    assert first.recall(NAME) is None
    assert first.remember(NAME, 1) is None


def test_a_shorter_memory_does_not_shorten(first, clock) -> None:
    first.remember(NAME, 1000)
    first.remember(NAME, 10)
    clock.advance(900)
    assert first.recall(NAME) is not None
    first.forget(NAME)
    assert first.recall(NAME) is None


# ---- presence


def test_who_is_there_is_counted_over_all_views(first, second) -> None:
    assert first.enter(NAME) == 1
    assert second.enter(NAME) == 2
    assert first.enter("other") == 1
    first.leave(NAME)
    assert second.inside(NAME) == 1
    second.leave(NAME)
    assert first.inside(NAME) == 0


def test_a_dead_worker_is_not_there_but_its_counts_are(tally_house, first, second) -> None:
    for _ in range(5):
        first.enter(NAME)
    second.enter(NAME)
    first.add(NAME, 60, 7)
    tally_house.kill(first)
    assert second.inside(NAME) == 1
    assert second.count(NAME, 60) == 7


def test_leaving_twice_takes_nobody_elses_place(first, second) -> None:
    first.enter(NAME)
    second.leave(NAME)
    assert first.inside(NAME) == 1
    first.leave(NAME)
    first.leave(NAME)
    assert first.enter(NAME) == 1


def test_many_names_are_counted_right(first, second) -> None:
    """10,000 connections, as a full server has: a few count a little too high, none too low."""
    names = [f"10.{number >> 8}.{number & 255}.1" for number in range(5000)]
    for name in names:
        first.enter(name)
        second.enter(name)
    wrong = sum(1 for name in names if first.inside(name) != 2)
    assert wrong < len(names) // 25, "the smaller of two rows is seldom wrong"
    assert {first.inside(name) for name in names} <= set(range(2, 9))
    for name in names:
        first.leave(name)
        second.leave(name)
    assert not any(first.inside(name) for name in names)
