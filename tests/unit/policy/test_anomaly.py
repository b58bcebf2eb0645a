"""When an hour is far from what the same hour usually has."""

from __future__ import annotations

import pytest

from ekiden.model.measures import BOUNCED, LETTERS_IN, LOGINS_FAILED, MEASURES, WATCHED, Measure
from ekiden.policy.anomaly import MIN_SAMPLES, WEEK_HOURS, WEEKS, compared_hours, judge

HOUR = 480_000
PLAIN = Measure("plain", "", "things", floor=10, falls=True)


def test_the_same_hour_of_the_week_is_compared_and_those_beside_it() -> None:
    hours = compared_hours(HOUR)
    assert len(hours) == 3 * WEEKS
    assert {HOUR - WEEK_HOURS, HOUR - WEEK_HOURS + 1, HOUR - WEEK_HOURS - 1} <= set(hours)
    assert max(hours) < HOUR - 24, "not the hours that go on being strange right now"


@pytest.mark.parametrize(
    ("samples", "bound"),
    [
        ([0] * 6, 10),  # the floor: 1 → 3 is none
        ([1, 1, 2, 1, 0, 1], 10),
        ([10] * 6, 30),  # three times
        ([100] * 6, 300),
        ([4, 4, 4, 4, 4, 4], 16),  # what chance alone does: 4 + 6 * 2
        ([100, 160, 40, 100, 220, 100, 0, 100, 300], 634),  # restless hours: 100 + 6 * 1.4826 * 60
        ([10, 10, 10, 10, 10, 900], 901),  # once a month is no surprise
    ],
)
def test_too_much_is_from_the_bound_on(samples: list[int], bound: int) -> None:
    assert judge(PLAIN, bound - 1, samples, is_over=True) is None
    found = judge(PLAIN, bound, samples, is_over=False)
    assert found is not None
    assert (found.bound, found.fell, found.samples) == (bound, False, len(samples))
    assert (found.least, found.most) == (min(samples), max(samples))


def test_too_few_hours_tell_nothing() -> None:
    assert judge(PLAIN, 10**9, [1] * (MIN_SAMPLES - 1), is_over=True) is None
    assert judge(PLAIN, 10**9, [1] * MIN_SAMPLES, is_over=True) is not None


@pytest.mark.parametrize(
    ("count", "samples", "falls"),
    [
        (0, [30] * 6, True),
        (3, [30] * 6, True),
        (4, [30] * 6, False),  # more than a tenth
        (0, [29] * 6, False),  # too few to tell
        (3, [30, 30, 30, 30, 30, 5], False),  # it was nearly so once
        (2, [30, 30, 30, 30, 30, 5], True),
        (0, [30, 30, 30, 30, 30, 0], False),
    ],
)
def test_too_little_of_an_hour_that_is_over(count: int, samples: list[int], falls: bool) -> None:
    found = judge(PLAIN, count, samples, is_over=True)
    assert (found is not None and found.fell) is falls
    assert judge(PLAIN, count, samples, is_over=False) is None, "it may still come"


def test_only_what_may_fall_falls() -> None:
    assert judge(BOUNCED, 0, [1000] * 6, is_over=True) is None
    assert judge(LOGINS_FAILED, 0, [1000] * 6, is_over=True) is None
    assert judge(LETTERS_IN, 0, [1000] * 6, is_over=True) is not None


def test_the_measures_that_the_issue_names_are_watched() -> None:
    assert {measure.name for measure in WATCHED} == {
        "letters.in", "letters.out", "bounced", "refused", "logins.failed", "queue",
    }  # fmt: skip
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
