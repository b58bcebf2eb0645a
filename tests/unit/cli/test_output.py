"""How commands print: alignment, times, sizes, and no control sequence from outside."""

from __future__ import annotations

import json

import pytest

from ekiden.cli import output


def test_tables_align_what_people_see():
    lines = output.table(("NAME", "N"), [("駅伝", "1"), ("a", "200"), ("e\u0301x", "3")], right=frozenset({1}))
    assert lines.splitlines() == ["NAME    N", "駅伝    1", "a     200", "e\u0301x      3"]


def test_no_cell_reaches_the_terminal_with_control_characters():
    text = output.table(("A",), [("\x1b[2Jx\r\n\x07\u202egnp\udcff",)])
    assert text.splitlines()[1] == r"\x1b[2Jx  \x07\u202egnp\udcff"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (119, "1m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_spans(seconds, text):
    assert output.span(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 30, "3.0 GiB")]
)
def test_sizes(octets, text):
    assert output.size(octets) == text


def test_counts():
    assert [output.count(n, "letter") for n in (0, 1, 2)] == ["no letters", "1 letter", "2 letters"]
    assert output.count(2, "alias", "aliases") == "2 aliases"


def test_times_for_programs():
    assert output.utc_time(0.0) == "1970-01-01T00:00:00Z"
    assert output.utc_time(None) is None


def test_json_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"path": "\x9b31m\x7f\u202e\U000e0001駅"}
    output.echo_json(value)
    text = capsys.readouterr().out
    assert all(line.isprintable() for line in text.splitlines())
    assert "駅" in text
    assert json.loads(text) == value
