"""Who is at the wrong door is counted and told, and cannot fill the log."""

from __future__ import annotations

from ekiden.model.door import Door
from ekiden.model.events import DoorRefused, DoorWrong
from ekiden.model.wrong_door import WrongDoor, advise
from ekiden.session import knocks
from ekiden.session.knocks import HOUR, MOST_A_MINUTE, KnockBook
from ekiden.telemetry.counts import LiveCounts
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink


class House:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events = CollectingSink()
        self.counts = LiveCounts()
        self.book = KnockBook(self.clock, self.events, self.counts)

    def knock(self, client: str = "192.0.2.7", times: int = 1, what: WrongDoor = WrongDoor.TLS) -> None:
        for _ in range(times):
            self.book.wrong(Door.SUBMISSION, client, what)

    @property
    def told(self) -> list[DoorWrong]:
        return self.events.of(DoorWrong)


def test_the_first_is_told_with_what_would_be_right() -> None:
    house = House()
    house.knock()
    event = house.events.one(DoorWrong)
    assert (event.door, event.client, event.what, event.network) == ("submission", "192.0.2.7", "tls", "192.0.2.0/24")
    assert event.advice == advise(Door.SUBMISSION, WrongDoor.TLS)
    assert "STARTTLS" in event.advice
    assert (event.count, event.withheld) == (1, 0)


def test_a_network_that_knocks_all_day_makes_a_few_lines() -> None:
    house = House()
    for number in range(1000):
        house.knock(f"192.0.2.{number % 250}")
    assert [event.count for event in house.told] == [1, 2, 3, 10, 100, 1000]
    assert sum(1 + event.withheld for event in house.told) == 1000
    house.knock("192.0.3.1")
    house.knock(what=WrongDoor.HTTP)
    assert [event.count for event in house.told[6:]] == [1, 1]


def test_an_hour_later_it_is_told_again() -> None:
    house = House()
    house.knock(times=50)
    house.clock.advance(HOUR)
    house.knock()
    assert house.told[-1].count == 1


def test_many_networks_at_once_are_told_a_few_a_minute() -> None:
    house = House()
    for number in range(1000):
        house.knock(f"10.{number // 250}.{number % 250}.1")
    assert len(house.told) == MOST_A_MINUTE
    house.clock.advance(60)
    house.knock("10.3.249.1")
    assert house.told[-1].withheld == 1000 - MOST_A_MINUTE
    assert house.told[-1].count == 2, "its first was withheld, so this is told"


def test_a_scan_does_not_hide_a_person() -> None:
    house = House()
    for number in range(200):
        house.knock(f"10.0.{number}.1", what=WrongDoor.HTTP)
        house.book.refused(Door.RELAY, f"10.1.{number}.1", "denied")
    house.knock("2001:db8::1")
    assert (house.told[-1].what, house.told[-1].network) == ("tls", "2001:db8::/48")


def test_memory_is_bounded() -> None:
    house = House()
    for number in range(knocks.MOST_COUNTS + 5):
        house.knock(f"10.{number >> 8}.{number & 255}.1")
    assert len(house.book._counts) == knocks.MOST_COUNTS


def test_refusals_are_told_the_same_way() -> None:
    house = House()
    for _ in range(20):
        house.book.refused(Door.RELAY, "192.0.2.7", "denied")
    assert [event.count for event in house.events.of(DoorRefused)] == [1, 2, 3, 10]
    house.book.refused(Door.RELAY, "192.0.2.7", "proxy-header-malformed", "a port is none")
    assert house.events.of(DoorRefused)[-1].detail == "a port is none"


def test_each_refusal_is_counted_told_or_not() -> None:
    house = House()
    for _ in range(50):
        house.book.refused(Door.SUBMISSION, "192.0.2.7", "denied")
    house.knock()
    house.counts.tick()
    assert house.counts.take() == {"refused": {"denied": 50}}
    assert len(house.events.of(DoorRefused)) < 50
