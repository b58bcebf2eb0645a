"""The file in which workers share what they know of the road."""

from __future__ import annotations

import os
from pathlib import Path

from ekiden.model.road_block import Family, RoadBlock, RoadState, Trouble
from ekiden.storage.machine.road_file import RoadFile

BLOCK = RoadBlock(family=Family.IPV4, kind=Trouble.DROPPED, since=1.5, looked=2.5, evidence=("a", "b"), banner="x")
STATE = RoadState().blocked(BLOCK)


async def test_what_one_writes_the_other_reads(tmp_path: Path) -> None:
    one, other = RoadFile(tmp_path / "road.json"), RoadFile(tmp_path / "road.json")
    assert one.read() == other.read() == RoadState()
    await one.write(STATE)
    assert one.read() == other.read() == RoadFile(tmp_path / "road.json").read() == STATE
    await other.write(STATE.opened(Family.IPV4, 9.0))
    assert one.read() == RoadState(looked={Family.IPV4: 9.0})
    assert [path.name for path in tmp_path.iterdir()] == ["road.json"]
    assert (tmp_path / "road.json").stat().st_mode & 0o777 == 0o600


async def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "road.json"
    road = RoadFile(path)
    await road.write(STATE)
    assert road.read() is road.read()


async def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "road.json"
    for octets in (b"", b"{", b'{"blocks": [{"family": "IPv5"}]}', b"\xff" * 100_000):
        path.write_bytes(octets)
        assert RoadFile(path).read() == RoadState()
    os.unlink(path)
    path.mkdir()
    assert RoadFile(path).read() == RoadState()


async def test_what_cannot_be_written_counts_here(tmp_path: Path) -> None:
    road = RoadFile(tmp_path / "missing" / "road.json")
    await road.write(STATE)
    assert road.read() == STATE


async def test_a_file_that_somebody_takes_away_is_a_road_that_is_open(tmp_path: Path) -> None:
    path = tmp_path / "road.json"
    road = RoadFile(path)
    await road.write(STATE)
    path.unlink()
    assert road.read() == RoadState()
