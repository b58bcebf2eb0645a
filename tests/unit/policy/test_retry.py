"""The schedule of attempts (RFC 5321 §4.5.4.1)."""

from __future__ import annotations

import pytest

from ekiden.config.model import Delivery
from ekiden.policy import retry
from ekiden.policy.retry import RetrySchedule

USUAL = Delivery()


def test_pauses_grow_to_the_longest() -> None:
    pauses = [retry.pause(n, retry.schedule_of(USUAL), 0) for n in range(1, 40)]
    assert pauses[:3] == pytest.approx([300, 480, 768])
    assert pauses == sorted(pauses)
    assert pauses[-1] == USUAL.retry_longest
    assert max(pauses) == USUAL.retry_longest


@pytest.mark.parametrize(("jitter", "factor"), [(-1, 0.8), (0, 1), (1, 1.2), (7, 1.2)])
def test_jitter_is_a_share_of_the_pause(jitter: float, factor: float) -> None:
    assert retry.pause(1, retry.schedule_of(USUAL), jitter) == pytest.approx(300 * factor)


def test_absurd_settings_stay_finite() -> None:
    assert retry.pause(100_000, retry.schedule_of(USUAL), 0) == USUAL.retry_longest
    assert retry.pause(100_000, RetrySchedule(1e-9, 1e9, USUAL.retry_longest), 0) == USUAL.retry_longest
    assert retry.pause(9, RetrySchedule(300, 1.0, 14400), 0) == 300
    assert retry.pause(9, RetrySchedule(300, 0.5, 14400), 0) == 300
    assert retry.pause(1, RetrySchedule(60, 1.6, 30), 0) == 30
    assert retry.pause(9, RetrySchedule(0, 1.6, 30), 0) == 0


def test_the_last_attempt_is_made_when_the_letter_expires() -> None:
    arrived = 1000.0
    assert retry.next_attempt(arrived, arrived + 10, 1, USUAL, 0) == arrived + 310
    end = arrived + USUAL.expire_after
    assert retry.next_attempt(arrived, end - 5, 50, USUAL, 0) == end
    assert not retry.is_expired(arrived, end - 1, USUAL)
    assert retry.is_expired(arrived, end, USUAL)


def test_a_clock_that_jumped_forward_never_gives_a_time_in_the_past() -> None:
    assert retry.next_attempt(0, 1e9, 1, USUAL, 0) == 1e9


def test_delay_report() -> None:
    assert not retry.delay_report_due(0, USUAL.delay_report_after - 1, USUAL)
    assert retry.delay_report_due(0, USUAL.delay_report_after, USUAL)


def test_a_site_may_have_a_schedule_of_its_own() -> None:
    own = RetrySchedule(60, 2, 3600)
    assert retry.next_attempt(1000, 2000, 2, USUAL, 0, schedule=own) == 2120
    assert retry.next_attempt(1000, 2000, 2, USUAL, 0) == 2480


@pytest.mark.parametrize(
    ("age", "most", "made"), [(0, 0, 0), (0, 9, 1), (299, 9, 1), (300, 9, 2), (779, 9, 2), (780, 9, 3), (1e9, 9, 9)]
)
def test_attempts_that_the_schedule_would_have_made(age: float, most: int, made: int) -> None:
    assert retry.attempts_by(age, most, retry.RetrySchedule(300.0, 1.6, 14_400.0)) == made
