"""How many connections a site gets."""

from __future__ import annotations

from ekiden.policy.concurrency import SETTLE, START, Concurrency


def test_it_begins_small_and_grows_with_each_success_up_to_what_is_allowed() -> None:
    concurrency = Concurrency(20)
    assert concurrency.allowed == START
    for _ in range(15):
        concurrency.succeed()
    assert concurrency.allowed == 20
    concurrency.succeed()
    assert concurrency.allowed == 20


def test_a_limit_below_the_start_holds_from_the_start() -> None:
    assert Concurrency(2).allowed == 2


def test_trouble_halves_it_but_one_trouble_counts_once() -> None:
    concurrency = Concurrency(20)
    for _ in range(15):
        concurrency.succeed()
    for _ in range(10):
        concurrency.trouble(100.0)
    assert concurrency.allowed == 10
    concurrency.trouble(100.0 + SETTLE)
    assert concurrency.allowed == 5


def test_after_trouble_it_grows_slowly() -> None:
    concurrency = Concurrency(20)
    concurrency.trouble(0.0)
    before = concurrency.allowed
    concurrency.succeed()
    assert concurrency.allowed == before + 1 / before


def test_never_below_one() -> None:
    concurrency = Concurrency(20)
    for second in range(20):
        concurrency.trouble(second * SETTLE)
    assert concurrency.allowed == 1


def test_much_slower_than_usual_is_trouble() -> None:
    concurrency = Concurrency(20)
    assert not concurrency.judge(0.5, 0.0)
    assert not concurrency.judge(0.4, 1.0)
    assert not concurrency.judge(1.9, 2.0)  # much slower, but nobody would notice
    assert concurrency.judge(3.0, 3.0)
    assert concurrency.allowed == START / 2


def test_slow_as_ever_is_no_trouble() -> None:
    concurrency = Concurrency(20)
    assert not any(concurrency.judge(30.0, float(second)) for second in range(100))


def test_a_site_that_became_slow_for_good_is_not_held_down_for_ever() -> None:
    concurrency = Concurrency(20)
    concurrency.judge(1.0, 0.0)
    slow = [concurrency.judge(5.0, float(second)) for second in range(1, 200)]
    assert slow[0]
    assert not slow[-1]


def test_after_a_rest_it_starts_small_again_and_new_rules_hold_at_once() -> None:
    concurrency = Concurrency(20)
    for _ in range(15):
        concurrency.succeed()
    concurrency.begin_anew()
    assert concurrency.allowed == START
    concurrency.limit(3)
    assert concurrency.allowed == 3
