"""How many connections a site gets."""

from __future__ import annotations

import pytest

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


def grown() -> Concurrency:
    concurrency = Concurrency(20)
    for _ in range(15):
        concurrency.succeed()
    return concurrency


def test_much_slower_than_usual_is_trouble_when_it_lasts() -> None:
    concurrency = grown()
    seconds = [0.5, 0.4, 1.9, 1.9, 1.9, 3.0, 3.0]  # much slower from the third on; nobody would notice the first ones
    assert not any(concurrency.judge(took, float(second)) for second, took in enumerate(seconds))
    assert concurrency.allowed == 20
    assert concurrency.judge(3.0, 7.0)
    assert concurrency.allowed == pytest.approx(20 * 2 / 3)


def test_one_slow_second_is_none() -> None:
    concurrency = grown()
    assert not any(concurrency.judge(9.0 if second % 3 else 0.5, float(second)) for second in range(60))


def test_slowness_alone_never_takes_more_than_a_third() -> None:
    concurrency = grown()
    concurrency.judge(0.5, 0.0)
    for second in range(1, 30):
        concurrency.judge(60.0, float(second))
    assert concurrency.allowed == pytest.approx(20 * 2 / 3)
    concurrency.trouble(100.0)
    allowed = concurrency.allowed
    for second in range(100, 130):
        concurrency.judge(60.0, float(second))
    assert concurrency.allowed == allowed


def test_a_loop_that_stood_still_says_nothing_of_the_site() -> None:
    concurrency = grown()
    concurrency.judge(0.5, 0.0)
    assert not any(concurrency.judge(9.0, second * 2.0) for second in range(1, 10))


def test_slow_as_ever_is_no_trouble() -> None:
    concurrency = grown()
    assert not any(concurrency.judge(30.0, float(second)) for second in range(100))


def test_a_site_that_became_slow_for_good_is_as_usual_soon() -> None:
    concurrency = grown()
    concurrency.judge(1.0, 0.0)
    slow = []
    for second in range(1, 200):
        slow.append(concurrency.judge(5.0, float(second)))
        concurrency.succeed()
    assert any(slow[:5])
    assert not any(slow[60:])


def test_after_a_rest_it_starts_small_again_and_new_rules_hold_at_once() -> None:
    concurrency = Concurrency(20)
    for _ in range(15):
        concurrency.succeed()
    concurrency.begin_anew()
    assert concurrency.allowed == START
    concurrency.limit(3)
    assert concurrency.allowed == 3
