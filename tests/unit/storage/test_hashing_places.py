"""Places: who runs, who waits, who is sent away."""

from __future__ import annotations

import pytest

from ekiden.storage.hashing_places import Places


def fill(places: Places[int], *, known: int = 0, strangers: int = 0) -> int:
    """How many of them got a place."""
    return sum(places.ask(n, known=True) for n in range(known)) + sum(
        places.ask(-n - 1, known=False) for n in range(strangers)
    )


def running(places: Places[int]) -> list[bool]:
    """Everything that may run now: known or not."""
    found = []
    while (turn := places.next()) is not None:
        found.append(turn[1])
    return found


@pytest.mark.parametrize(("threads", "strangers"), [(1, 1), (2, 1), (3, 1), (4, 2)])
def test_strangers_have_half_of_the_threads(threads, strangers):
    places: Places[int] = Places(threads, known=10, strangers=10)
    fill(places, strangers=5)
    assert running(places) == [False] * strangers
    fill(places, known=5)
    assert running(places) == [True] * (threads - strangers)


def test_a_hundred_strangers_wait_and_the_next_is_sent_away():
    places: Places[int] = Places(2, known=5, strangers=100)
    assert fill(places, strangers=1) == 1
    assert running(places) == [False]
    assert fill(places, strangers=200) == 100
    assert fill(places, known=20) == 5
    assert running(places) == [True]
    assert fill(places, known=20) == 1
    assert places.taken == 1 + 100 + 1 + 5


def test_a_free_thread_needs_no_waiting_room():
    places: Places[int] = Places(2, known=0, strangers=0)
    assert places.ask(1, known=True)
    assert running(places) == [True]
    assert places.ask(2, known=False)
    assert running(places) == [False]
    assert not places.ask(3, known=True)


def test_places_come_back():
    places: Places[int] = Places(1, known=1, strangers=1)
    fill(places, known=1, strangers=1)
    assert running(places) == [True]
    places.finished(known=True)
    assert running(places) == [False]
    places.finished(known=False)
    assert places.taken == 0


def test_dropped_work_is_told():
    places: Places[int] = Places(1, known=3, strangers=3)
    fill(places, known=2, strangers=2)
    places.next()
    assert places.drop_all() == [1, -1, -2]
    assert places.taken == 1
