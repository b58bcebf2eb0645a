"""How fast a site is."""

from __future__ import annotations

import pytest

from ekiden.delivery.pace import GRACE, Pace


def test_unknown_at_first_then_measured() -> None:
    pace = Pace()
    pace.begin(100.0)
    assert pace.seconds(1000, 100.0 + GRACE - 0.1) == 0.0
    for _ in range(30):
        for _ in range(50):
            pace.finish()
        pace.tick()
    assert pace.seconds(1000, 130.0) == pytest.approx(20, rel=0.01)


def test_stuck_is_slow_not_infinite() -> None:
    pace = Pace()
    pace.begin(0.0)
    assert pace.seconds(10, 10.0) == 100.0


def test_letters_put_off_count_and_are_forgotten() -> None:
    pace = Pace()
    pace.begin(0.0)
    for _ in range(10):
        pace.put_off()
    assert pace.seconds(0, 10.0) == 100.0
    assert not pace.is_forgotten
    for _ in range(200):
        pace.tick()
    assert pace.is_forgotten


def test_what_comes_back_and_is_finished_no_longer_counts() -> None:
    pace = Pace()
    for _ in range(10):
        pace.put_off()
        pace.finish()
    pace.tick()
    assert pace.is_forgotten
