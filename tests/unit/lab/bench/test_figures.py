from __future__ import annotations

import pytest

from ekiden.lab.bench.figures import Column, Figure, marked, table, verdicts
from ekiden.lab.pacing import Paced


def column(name: str, *rates: float, cpu: float = 1.0, p99: float = 5.0) -> Column:
    runs = [Figure(1000, rate * 2, rate, cpu, 50_000_000) for rate in rates]
    return Column(name, runs, [Paced(0.0, 1.0, 1.5, p99, 9.0, 0.0)])


def test_a_line_holds_medians() -> None:
    line = table([column("Ekiden", 100, 300, 200)])[1].split()
    assert line == ["Ekiden", "3", "1000", "400", "200", "1.000", "50", "1.5", "5.0", "0%"]


def test_who_did_not_run_says_why() -> None:
    assert table([Column("Exim", failed="Exim is not there")])[1].split(maxsplit=1) == ["Exim", "Exim is not there"]


def test_who_failed_on_the_way_keeps_its_figures() -> None:
    exim = column("Exim", 100)
    exim.failed = "failed: gone"
    assert [line.split()[0] for line in table([exim])[1:]] == ["Exim", "Exim"]
    assert "gone" in table([exim])[2]


def test_the_tools_have_no_cpu_and_no_latency() -> None:
    assert table([Column("tools alone", [Figure(10, 5.0, 5.0)])])[1].split() == ["tools", "alone", "1", "10", "5", "5"]


def test_ratios_are_medians_of_pairs() -> None:
    lines = verdicts(column("Ekiden", 500, 100, 900), column("Postfix", 100, 100, 100, cpu=8.0), None, held=True)
    assert lines[0] == "  Ekiden : Postfix = 5.0 : 1 end to end; CPU a letter 1 : 8.0"
    assert [line.rpartition(": ")[2] for line in lines[1:]] == ["yes", "yes", "yes"]


def test_a_missed_target_says_no() -> None:
    ours, theirs = column("Ekiden", 400, p99=6.0), column("Postfix", 100, cpu=4.0)
    lines = verdicts(ours, theirs, column("tools", 1000), held=True)
    assert [line.rpartition(": ")[2] for line in lines[1:]] == ["NO", "NO", "NO"]


def test_sixty_percent_of_the_tools_is_enough() -> None:
    lines = verdicts(column("Ekiden", 400), column("Postfix", 100), column("tools", 600), held=True)
    assert lines[1].endswith("(it is 67%): yes")


def test_other_scenarios_have_no_target_end_to_end() -> None:
    lines = verdicts(column("Ekiden", 400), column("Postfix", 100), None, held=False)
    assert len(lines) == 2
    assert "99th" in lines[1]


def test_without_postfix_there_is_nothing_to_compare() -> None:
    assert verdicts(column("Ekiden", 400), None, None, held=True) == []


def test_tables_go_between_the_marks() -> None:
    page = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
    assert marked(page, "bench", ["new  "]) == "before\n<!-- bench -->\n```\nnew\n```\n<!-- /bench -->\nafter\n"


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="<!-- bench -->"):
        marked("nothing", "bench", [])
