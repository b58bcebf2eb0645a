from __future__ import annotations

from ekiden.lab.scale.findings import Finding, Table, columns, render_findings, render_table


def test_a_finding_says_yes_no_or_nothing() -> None:
    found = [Finding("a", "1", "< 2", True), Finding("b", "3", "< 2", False), Finding("c", "why not", "", None)]
    lines = render_findings(found)
    assert [line.split()[-1] for line in lines] == ["met", "yes", "NO", "-"]


def test_columns_are_as_wide_as_their_widest() -> None:
    assert columns(("", "rate"), [("one", "7"), ("ten thousand", "12345")]) == [
        "                 rate",
        "  one               7",
        "  ten thousand  12345",
    ]


def test_a_table_ends_with_what_limits_it() -> None:
    table = Table("sites", ("sites", "rate"), [("1", "5")], note="Limits: CPU.")
    assert render_table(table) == ["sites", "  sites  rate", "  1         5", "  Limits: CPU."]
