"""The contract of `ports.bans.Bans`, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.ports.bans import KEPT_SECONDS, LIFTED, Ban, BansFailed
from ekiden.storage.memory.bans import MemoryBans
from ekiden.storage.sqlite.bans import SqliteBans

NOW = 1_767_225_600.0
THIEF = Ban("198.51.100.66/32", NOW, NOW + 3600, "guard:logins", "guessed", 2)
FOREVER = Ban("2001:db8::/32", NOW, None, "root")


@pytest.fixture(params=["memory", "sqlite"])
async def bans(request, tmp_path):
    made = MemoryBans() if request.param == "memory" else SqliteBans(tmp_path / "bans.db")
    yield made
    made.close()


async def test_what_was_put_is_found_listed_and_new_once(bans) -> None:
    assert list(bans.news()) == []
    await bans.put(FOREVER)
    await bans.put(THIEF)
    assert await bans.find(THIEF.network) == THIEF
    assert await bans.find("198.51.100.67/32") is None
    assert list(await bans.all()) == [THIEF, FOREVER]
    assert set(bans.news()) == {THIEF, FOREVER}
    assert list(bans.news()) == []


async def test_a_later_one_replaces_and_is_new_again(bans) -> None:
    await bans.put(THIEF)
    bans.news()
    lifted = THIEF._replace(since=NOW + 1, until=LIFTED)
    await bans.put(lifted)
    assert list(await bans.all()) == [lifted]
    assert list(bans.news()) == [lifted]


async def test_sqlite_tells_other_processes_and_keeps(tmp_path: Path) -> None:
    path = tmp_path / "bans.db"
    one, two = SqliteBans(path), SqliteBans(path)
    assert list(two.news()) == []
    await one.put(THIEF)
    assert list(two.news()) == [THIEF]
    await two.put(FOREVER)
    assert set(one.news()) == {THIEF, FOREVER}
    one.close()
    two.close()
    again = SqliteBans(path)
    assert set(again.news()) == {THIEF, FOREVER}
    again.close()
    with pytest.raises(BansFailed):
        await again.put(THIEF)


async def test_sqlite_forgets_what_is_long_over_and_never_what_has_no_end(tmp_path: Path) -> None:
    bans = SqliteBans(tmp_path / "bans.db", most=3)
    late = NOW + KEPT_SECONDS + 7200
    await bans.put(THIEF)
    await bans.put(FOREVER._replace(network="192.0.2.0/24"))
    await bans.put(FOREVER._replace(since=late))
    assert [ban.network for ban in await bans.all()] == ["192.0.2.0/24", FOREVER.network]
    for number in range(3):
        await bans.put(THIEF._replace(network=f"10.0.0.{number}/32", since=late, until=late + number))
    assert [ban.network for ban in await bans.all()] == ["10.0.0.2/32", "192.0.2.0/24", FOREVER.network]
    bans.close()
