"""Ids: one spelling, read back as the number it was made from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.model.ids import IdSequence, first_id, parse_id, render_id


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_what_is_rendered_is_read_back(number: int) -> None:
    assert parse_id(render_id(number)) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0000000000000"),
        (31, "000000000000z"),
        (32, "0000000000010"),
        (2**63 - 1, "7zzzzzzzzzzzz"),
        (0x0123_4567_89AB_CDEF, "028t5cy4tqkff"),
    ],
)
def test_spelling(number: int, text: str) -> None:
    assert render_id(number) == text


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_order_of_texts_is_order_of_numbers(one: int, other: int) -> None:
    assert (one < other) == (render_id(one) < render_id(other))


@pytest.mark.parametrize("number", [-1, 2**63])
def test_beyond_the_range(number: int) -> None:
    with pytest.raises(ValueError, match="2\\*\\*63"):
        render_id(number)


def test_the_first_id_of_a_time_parts_what_came_before_from_what_came_after():
    when = 1_767_225_600.5
    before, at = IdSequence(1023).next(when - 0.001), IdSequence(0).next(when)
    assert before < first_id(when) <= at
    assert first_id(0.0) == first_id(-5.0) == 0
