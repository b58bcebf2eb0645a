"""Connections over all sites."""

from __future__ import annotations

from ekiden.delivery.budget import PATIENCE, Budget, Place, Standing


def nothing() -> None:
    pass


def take(budget: Budget, standing: Standing = Standing.PROVEN, now: float = 0.0) -> Place:
    place = budget.take(standing, now, nothing)
    assert place
    return place


def test_who_finds_no_room_is_woken_once_in_turn() -> None:
    budget, woken = Budget(1), []

    def first() -> None:
        woken.append("first")
        places.append(budget.take(Standing.PROVEN, 0.0, first))

    def second() -> None:
        woken.append("second")

    places = [budget.take(Standing.PROVEN, 0.0, first)]
    for _ in range(3):
        assert not budget.take(Standing.PROVEN, 0.0, first)
    assert not budget.take(Standing.PROVEN, 0.0, second)
    assert budget.is_contended
    budget.give(places[0])
    assert woken == ["first"]
    budget.give(places[1])
    assert woken == ["first", "second"]
    assert not budget.is_contended


def test_who_needs_none_any_more_does_not_stop_the_next() -> None:
    budget, woken = Budget(1), []
    place = take(budget)
    for name in "ab":
        assert not budget.take(Standing.PROVEN, 0.0, lambda name=name: woken.append(name))
    budget.give(place)
    assert woken == ["a", "b"]


def test_sites_of_which_nothing_is_known_leave_room_for_those_that_work() -> None:
    budget = Budget(10)
    for _ in range(6):
        take(budget, Standing.FRESH)
    assert not budget.take(Standing.FRESH, 0.0, nothing)
    take(budget, Standing.FAILED)
    assert not budget.take(Standing.FAILED, 0.0, nothing)
    for _ in range(3):
        take(budget)
    assert not budget.take(Standing.PROVEN, 0.0, nothing)


def test_a_fresh_site_that_takes_mail_lets_the_next_one_try() -> None:
    budget, woken = Budget(10), []
    places = [take(budget, Standing.FRESH) for _ in range(6)]
    assert not budget.take(Standing.FRESH, 0.0, lambda: woken.append(1))
    budget.opened(places[0])
    assert woken == [1]
    budget.opened(places[0])
    budget.give(places[0])
    assert budget._used == 5


def test_who_opens_for_long_gives_way_only_while_others_wait() -> None:
    budget, cut = Budget(10), []
    for number in range(6):
        assert budget.take(Standing.FRESH, float(number), nothing, lambda number=number: cut.append(number))
    budget.tick(100.0)
    assert cut == []
    for wake in (lambda: None, lambda: None):
        assert not budget.take(Standing.FRESH, 100.0, wake)
    budget.tick(PATIENCE + 0.5)
    assert cut == [0]
    budget.tick(PATIENCE + 3.5)
    assert cut == [0, 0, 1]  # as many as wait


def test_idle_connections_are_asked_for_when_the_room_is_used_up_but_not_each_time() -> None:
    asked = []
    budget = Budget(40, lambda: asked.append(1))
    budget.tick(0.0)
    places = [take(budget) for _ in range(40)]
    for _ in range(10):
        assert not budget.take(Standing.PROVEN, 0.0, nothing)
    assert asked == [1]
    for place in places[:2]:
        budget.give(place)
    for _ in range(2):
        take(budget)
    assert not budget.take(Standing.PROVEN, 0.0, nothing)
    assert asked == [1, 1]
