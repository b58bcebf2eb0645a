from __future__ import annotations

from ekiden.cli.lab import bench
from ekiden.lab.bench import guards, logins
from ekiden.lab.bench.measure import Extent
from ekiden.lab.bench.scenarios import SCENARIOS


def test_the_command_line_knows_every_scenario() -> None:
    option = next(parameter for parameter in bench.params if parameter.name == "scenarios")
    titles = [*(scenario.name for scenario in SCENARIOS), logins.TITLE, guards.TITLE]
    assert list(getattr(option.type, "choices", ())) == titles


def test_a_run_is_as_long_as_wanted() -> None:
    assert Extent(300, 5.0).of(10_000.0) == 300
    assert Extent(0, 5.0).of(1000.0) == 5000
    assert Extent(0, 5.0).of(1.0) == 100
