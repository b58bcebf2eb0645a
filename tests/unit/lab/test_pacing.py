from __future__ import annotations

import pytest

from ekiden.lab.pacing import quantile


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0), (0.0, 1.0), (0.001, 1.0)]
)
def test_a_quantile_is_the_smallest_value_that_covers_the_share(share: float, value: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == value


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 0.99) == 0.0
