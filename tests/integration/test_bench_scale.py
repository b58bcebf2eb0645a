"""The parts of the scale benchmark run, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.lab import load
from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.scale.backlog import fill
from ekiden.lab.scale.resting import relaying
from ekiden.lab.scale.silent import country
from ekiden.lab.server import free_ports

NEEDS_TOOLS = pytest.mark.skipif(bool(load.is_possible()), reason=load.is_possible())


@NEEDS_TOOLS
def test_what_the_tool_puts_in_leaves_when_the_server_starts(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    server = relaying(tmp_path / "backlog", port, workers=2)
    server.prepare()
    assert fill(server.config_path, 700) > 0
    sink = load.Sink(port)
    sink.start()
    server.start()
    try:
        sink.wait_for(700, 60)
    finally:
        server.stop()
        sink.stop()


@NEEDS_TOOLS
@pytest.mark.skipif(bool(LabNameServer.is_possible()), reason=LabNameServer.is_possible())
def test_silent_domains_do_not_keep_the_others_from_their_letters(tmp_path: Path) -> None:
    with country(tmp_path / "land", 20) as land:
        assert (len(land.good), len(land.silent)) == (16, 4)
        rate, cpu = land.carry([*land.good], 32)
    assert rate > 0
    assert cpu > 0
