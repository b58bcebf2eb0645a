"""The watchman over weeks of counts, with a clock that a test moves."""

from __future__ import annotations

import pytest

from ekiden.admin.watchman import Watchman
from ekiden.message.notice import Notice
from ekiden.model.events import AnomalyFound
from ekiden.policy.anomaly import HOUR, WEEK_HOURS
from ekiden.spool.notices import DAY
from ekiden.storage.memory.counts import MemoryCounts
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink

#: 2026-01-01 00:00:00 UTC, whole in hours.
START = 1_767_225_600 // HOUR


class Letters:
    """`spool.notices.Notices` as far as it matters here; that there is one a day is the real one's business."""

    def __init__(self) -> None:
        self.written: list[Notice] = []

    async def tell(self, notice: Notice, *, every: float = 0.0) -> bool:
        assert every == DAY
        self.written.append(notice)
        return True


class House:
    def __init__(self) -> None:
        self.store = MemoryCounts()
        self.events = CollectingSink()
        self.clock = FakeClock(float(START * HOUR))
        self.letters = Letters()
        self.wants_mail = True
        self.man = Watchman(self.store, self.events, self.clock, lambda: self.letters if self.wants_mail else None)

    async def weeks(self, weeks: float, measure: str = "logins.failed", count: int = 4, up: int = 60) -> None:
        """Counts of each hour, and the clock at the first minute behind them."""
        hours = int(weeks * WEEK_HOURS)
        for hour in range(START, START + hours):
            await self.store.add(hour, {measure: {"relay": count}, "up": {"": up}})
        self.clock.advance(hours * HOUR + 60)

    async def now(self, measure: str, **keys: int) -> None:
        hour = int(self.clock.now() // HOUR)
        await self.store.add(hour, {measure: keys, "up": {"": 1}})

    def found(self) -> list[AnomalyFound]:
        return self.events.of(AnomalyFound)


async def test_a_storm_of_guesses_is_told_within_its_hour_and_once() -> None:
    house = House()
    await house.weeks(3)
    await house.man.look()
    assert house.found() == []
    await house.now("logins.failed", alice=30, bob=25)
    await house.man.look()
    await house.man.look()
    event = house.events.one(AnomalyFound)
    assert (event.measure, event.count, event.usual, event.bound, event.fell) == ("logins.failed", 55, 4.0, 50, False)
    assert event.top == {"alice": 30, "bob": 25}
    assert event.hour == int(house.clock.now() // HOUR) * HOUR
    (letter,) = house.letters.written
    assert (letter.kind, letter.about, letter.to) == ("anomaly", "logins.failed", "")
    assert letter.subject == "Far more logins refused than usual: 55 (usually 4)"
    assert "30  alice" in letter.text
    house.clock.advance(HOUR)
    await house.now("logins.failed", alice=300)
    await house.man.look()
    assert len(house.found()) == 2, "each hour has its event"


@pytest.mark.parametrize(("weeks", "told"), [(1.9, 0), (335.5 / WEEK_HOURS, 0), (336.5 / WEEK_HOURS, 1)])
async def test_nothing_is_told_before_two_weeks(weeks: float, told: int) -> None:
    house = House()
    await house.weeks(weeks)
    await house.now("logins.failed", alice=5000)
    await house.man.look()
    assert len(house.found()) == told


async def test_hours_in_which_the_server_was_down_say_nothing() -> None:
    house = House()
    await house.weeks(3, up=20)
    await house.now("logins.failed", alice=5000)
    await house.man.look()
    assert house.found() == []


async def test_mail_that_stops_is_told_when_the_hour_is_over() -> None:
    house = House()
    await house.weeks(3, "letters.in", 200)
    hour = int(house.clock.now() // HOUR)
    await house.store.add(hour, {"letters.in": {"relay": 2}, "up": {"": 60}})
    await house.man.look()
    assert house.found() == [], "the hour is not over"
    house.clock.advance(HOUR)
    await house.man.look()
    event = house.events.one(AnomalyFound)
    assert (event.measure, event.count, event.fell) == ("letters.in", 2, True)
    assert "fewer" in house.letters.written[0].subject


async def test_an_hour_of_which_we_saw_half_did_not_fall() -> None:
    house = House()
    await house.weeks(3, "letters.in", 200)
    hour = int(house.clock.now() // HOUR)
    await house.store.add(hour, {"up": {"": 50}})
    house.clock.advance(HOUR)
    await house.man.look()
    assert house.found() == []


async def test_a_queue_that_grows_is_told_without_keys() -> None:
    house = House()
    await house.weeks(3)
    for hour in range(START, START + 3 * WEEK_HOURS):
        await house.store.peak(hour, "queue", 20)
    await house.store.peak(int(house.clock.now() // HOUR), "queue", 60)
    await house.man.look()
    event = house.events.one(AnomalyFound)
    assert (event.measure, event.count, event.usual, event.top) == ("queue", 60, 20.0, {})


async def test_who_wants_no_mail_has_the_event() -> None:
    house = House()
    house.wants_mail = False
    await house.weeks(3)
    await house.now("logins.failed", alice=5000)
    await house.man.look()
    assert len(house.found()) == 1
    assert house.letters.written == []
