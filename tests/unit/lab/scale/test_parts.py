from __future__ import annotations

from ekiden.cli.lab import bench
from ekiden.lab.scale.run import PARTS


def test_the_command_line_knows_every_part() -> None:
    option = next(parameter for parameter in bench.params if parameter.name == "parts")
    assert tuple(getattr(option.type, "choices", ())) == PARTS
