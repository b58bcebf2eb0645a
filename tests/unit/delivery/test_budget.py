"""Connections over all sites."""

from __future__ import annotations

from ekiden.delivery.budget import Budget


def test_who_finds_no_room_is_woken_once_in_turn() -> None:
    budget, woken = Budget(1), []

    def first() -> None:
        woken.append("first")
        assert budget.take(first)

    def second() -> None:
        woken.append("second")

    assert budget.take(first)
    for _ in range(3):
        assert not budget.take(first)
    assert not budget.take(second)
    assert budget.is_contended
    budget.give()
    assert woken == ["first"]
    budget.give()
    assert woken == ["first", "second"]
    assert not budget.is_contended


def test_who_needs_none_any_more_does_not_stop_the_next() -> None:
    budget, woken = Budget(1), []
    assert budget.take(lambda: None)
    for name in "ab":
        assert not budget.take(lambda name=name: woken.append(name))
    budget.give()
    assert woken == ["a", "b"]
