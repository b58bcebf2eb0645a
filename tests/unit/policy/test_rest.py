"""How long a site that failed is left alone."""

from __future__ import annotations

import pytest

from ekiden.policy.rest import FIRST, LONGEST, Rest, pause


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(failures, 0.0) for failures in (1, 2, 3)] == [FIRST, FIRST * 2, FIRST * 4]
    assert pause(8, 0.0) == LONGEST
    assert pause(1_000_000, 0.0) == LONGEST


@pytest.mark.parametrize(("jitter", "factor"), [(-1, 0.8), (1, 1.2), (9, 1.2)])
def test_some_chance_is_in_it(jitter: float, factor: float) -> None:
    assert pause(1, jitter) == pytest.approx(FIRST * factor)


def test_a_rest_lasts_until_its_end_and_a_success_forgets_it() -> None:
    rest = Rest()
    assert not rest.lasts(0.0)
    assert not rest.end()
    assert rest.fail("refused", 100.0, 0.0) == FIRST
    assert rest.lasts(100.0 + FIRST - 1)
    assert not rest.lasts(100.0 + FIRST)
    assert rest.fail("refused again", 200.0, 0.0) == FIRST * 2
    assert rest.reason == "refused again"
    assert rest.end()
    assert not rest.lasts(201.0)
    assert rest.fail("refused", 300.0, 0.0) == FIRST
