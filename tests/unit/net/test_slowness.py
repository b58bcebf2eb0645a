"""Who is slow, told with a clock that tests move."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ekiden.model.door import Door
from ekiden.net.door_wire import DoorWire
from ekiden.net.listener import Doors, DoorService, _OpenDoor
from ekiden.net.slowness import RATE, WINDOW, Slowness, surplus
from ekiden.ports.gate import OPEN_GATE
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink


def after(*minutes: int, start: float = 1000.0) -> tuple[Slowness, float]:
    """Each number: the octets of one minute, ticked every second."""
    slowness, now = Slowness(), start
    for octets in minutes:
        slowness.came(octets)
        for _ in range(60):
            slowness.tick(now)
            now += 1
    slowness.tick(now)
    return slowness, now


@pytest.mark.parametrize(
    ("minutes", "slow"),
    [
        ((0, 0, 0, 0), False),
        ((0, 0, 0, 0, 0), True),
        ((599, 600, 600, 600, 600), True),
        ((600, 600, 600, 600, 600), False),
        ((3000, 0, 0, 0, 0), False),
        ((3000, 0, 0, 0, 0, 0, 0, 0, 0, 0), True),
    ],
)
def test_only_a_whole_window_makes_slow(minutes: tuple[int, ...], slow: bool) -> None:
    slowness, now = after(*minutes)
    assert slowness.is_slow(now) is slow
    assert slowness.since == 1000.0


def test_who_has_begun_to_send_is_slow_no_more() -> None:
    slowness, now = after(0, 0, 0, 0, 0)
    slowness.came(RATE * 60 + 1)
    assert not slowness.is_slow(now + 60)
    assert slowness.is_slow(now + 61)


@pytest.mark.parametrize(("connections", "over"), [(0, 0), (80, 0), (81, 1), (100, 20), (110, 30)])
def test_up_to_four_fifths_nobody_is_looked_at(connections: int, over: int) -> None:
    assert surplus(connections, 100) == over


def test_the_window_is_five_minutes() -> None:
    assert (WINDOW, RATE) == (300.0, 10)


class Guest:
    """A session. `stays`: it says that its client waits for us."""

    def __init__(self, *, stays: bool = False) -> None:
        self.stays = stays
        self.asked = False

    def too_slow(self) -> bool:
        self.asked = True
        return not self.stays


def house(guests: list[tuple[Guest, int]], places: int) -> tuple[Doors, float]:
    """Guests with the octets that they send a second; each came a second after the one before."""
    loop = cast(asyncio.AbstractEventLoop, None)
    doors = Doors(loop, FakeClock(), FakeRandom(), CollectingSink())
    service = DoorService(cast(Any, None), b"", None, places)
    doors._doors[Door.RELAY] = _OpenDoor(Door.RELAY, service, doors, loop)
    for number, (guest, rate) in enumerate(guests):
        wire = DoorWire(loop, cast(Any, None), None, OPEN_GATE)
        wire.user = cast(Any, guest)
        wire.slowness.tick(1000.0 + number)
        wire.slowness.came(int(rate * WINDOW))
        wire.slowness.tick(1000.0 + number + WINDOW)
        doors.wires._wires.add(wire)
    return doors, 1000.0 + len(guests) + WINDOW


def test_when_places_run_short_the_oldest_slow_ones_go_and_no_more_than_are_over() -> None:
    fast, waiting = Guest(), Guest(stays=True)
    slow = [Guest() for _ in range(8)]
    doors, now = house([(fast, 10), (waiting, 0), *((each, 9) for each in slow)], 10)
    doors.cut_slow(now + 1)
    assert not fast.asked
    assert waiting.asked
    assert [each.asked for each in slow] == [True] * 2 + [False] * 6


def test_while_there_is_room_nobody_is_asked() -> None:
    slow = [Guest() for _ in range(8)]
    doors, now = house([(each, 0) for each in slow], 10)
    doors.cut_slow(now)
    assert not any(each.asked for each in slow)


def test_no_door_no_places() -> None:
    Doors(cast(asyncio.AbstractEventLoop, None), FakeClock(), FakeRandom(), CollectingSink()).cut_slow(1.0)
