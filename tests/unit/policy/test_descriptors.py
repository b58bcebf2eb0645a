"""Outbound connections by the descriptors there are."""

from __future__ import annotations

import pytest

from ekiden.policy.descriptors import MOST, OTHERS, outbound_connections


@pytest.mark.parametrize(
    ("descriptors", "sessions", "expected"),
    [
        (1024 * 1024, 5000, MOST),
        (1000 + OTHERS + 700, 1000, 700),
        (1024, 5000, 256),
        (64, 5000, 16),
        (1, 5000, 1),
    ],
)
def test_doors_come_first_and_delivery_always_has_some(descriptors: int, sessions: int, expected: int) -> None:
    assert outbound_connections(descriptors, sessions) == expected
