"""Dates against the standard library's."""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

import pytest

from ekiden.message.date import render_date


@pytest.mark.parametrize(
    "now",
    [
        0,
        59,
        86_399,
        86_400,
        951_696_000,
        951_782_400,
        951_868_799.9,
        1_078_012_800,
        1_709_164_800,
        4_107_542_400,
        253_402_300_799,
    ]
    + [day * 86_400 * 97 + 12_345 for day in range(0, 400, 7)],
)
def test_like_the_standard_library(now: float) -> None:
    assert render_date(now) == formatdate(int(now), localtime=False).replace("-0000", "+0000")
    assert parsedate_to_datetime(render_date(now)).timestamp() == int(now)


def test_a_clock_gone_mad_gives_a_date() -> None:
    assert render_date(-5.0) == render_date(0)
    assert render_date(1e18) == "Fri, 31 Dec 9999 23:59:59 +0000"
