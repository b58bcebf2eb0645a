"""The RFC table reads citations the way we write them."""

from __future__ import annotations

import pytest
from tools.rfc_table import Citation, citations, deviations, order


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RFC 5321 §4.4", {(5321, "4.4")}),
        ("(RFC 3461 §4.3, §4.4).", {(3461, "4.3"), (3461, "4.4")}),
        ("see RFC 2045 §6.7 and RFC\n# 2046 §5.1.1.", {(2045, "6.7"), (2046, "5.1.1")}),
        ("RFC 5322 §2.1 and §2.2, not", {(5322, "2.1"), (5322, "2.2")}),
        ("RFC 7505, and §9 of ours", {(7505, "")}),
        ("RFC 9 and rfc 5321", set()),
    ],
)
def test_citations(text: str, found: set[tuple[int, str]]) -> None:
    assert citations(text) == {Citation(*each) for each in found}


def test_deviations_reach_over_their_comment_block() -> None:
    text = "    # deviates RFC 1 §2: why\n    # it does: test_x\n    code()\n    # another comment\n"
    assert deviations(text) == ["RFC 1 §2: why it does: test_x"]


def test_sections_stand_in_their_order() -> None:
    assert sorted(["4.10", "4.2", "", "A.1", "4"], key=order) == ["", "4", "4.2", "4.10", "A.1"]
