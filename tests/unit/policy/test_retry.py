"""The schedule of attempts (RFC 5321 §4.5.4.1)."""

from __future__ import annotations

import pytest

from ekiden.config.model import Delivery
from ekiden.policy import retry

USUAL = Delivery()


def test_pauses_grow_to_the_longest() -> None:
    pauses = [retry.pause(n, USUAL, 0) for n in range(1, 40)]
    assert pauses[:3] == pytest.approx([300, 480, 768])
    assert pauses == sorted(pauses)
    assert pauses[-1] == USUAL.retry_longest
    assert max(pauses) == USUAL.retry_longest


@pytest.mark.parametrize(("jitter", "factor"), [(-1, 0.8), (0, 1), (1, 1.2), (7, 1.2)])
def test_jitter_is_a_share_of_the_pause(jitter: float, factor: float) -> None:
    assert retry.pause(1, USUAL, jitter) == pytest.approx(300 * factor)


def test_absurd_settings_stay_finite() -> None:
    assert retry.pause(100_000, USUAL, 0) == USUAL.retry_longest
    assert retry.pause(100_000, Delivery(retry_first=1e-9, retry_factor=1e9), 0) == USUAL.retry_longest
    assert retry.pause(9, Delivery(retry_factor=1.0), 0) == 300
    assert retry.pause(9, Delivery(retry_factor=0.5), 0) == 300
    assert retry.pause(1, Delivery(retry_first=60, retry_longest=30), 0) == 30
    assert retry.pause(9, Delivery(retry_first=0), 0) == 0


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
