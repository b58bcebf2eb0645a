"""Patterns with stars."""

from __future__ import annotations

import pytest

from ekiden.message.glob import Glob, fold


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("hello", "Hello", True),
        ("hello", "hello!", False),
        ("*", "", True),
        ("*.EXE", "a.exe", True),
        ("*.exe", "exe", False),
        ("a*b*c", "a--b--c", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*lottery*", "You won the LOTTERY!", True),
        ("a?[b]*", "a?[b]", True),
        ("a?c", "abc", False),
        ("*a*a*", "a", False),
        ("straße", "STRASSE", True),
    ],
)
def test_matches(pattern: str, text: str, matches: bool) -> None:
    assert Glob(pattern).matches(fold(text)) is matches
