"""The contract of `ports.sts.StsMemory`, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.ports.sts import StsEntry
from ekiden.storage.memory.sts import MemoryStsMemory
from ekiden.storage.sqlite.sts import SqliteStsMemory

ENTRY = StsEntry("1", b"version: STSv1\r\n", 1_767_225_600.5)
Memory = MemoryStsMemory | SqliteStsMemory


@pytest.fixture(params=["memory", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Memory]:
    made: Memory = MemoryStsMemory() if request.param == "memory" else SqliteStsMemory(tmp_path / "sts.db")
    yield made
    made.close()


async def test_what_was_put_is_found_until_it_is_forgotten(memory: Memory) -> None:
    assert await memory.find("far.test") is None
    await memory.put("far.test", ENTRY)
    await memory.put("other.test", ENTRY._replace(id="2"))
    assert await memory.find("far.test") == ENTRY
    await memory.put("far.test", ENTRY._replace(id="3"))
    assert await memory.find("far.test") == ENTRY._replace(id="3")
    await memory.forget("far.test")
    await memory.forget("far.test")
    assert await memory.find("far.test") is None
    assert await memory.find("other.test") == ENTRY._replace(id="2")


async def test_sqlite_is_shared_kept_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "sts.db"
    one, two = SqliteStsMemory(path, most=2), SqliteStsMemory(path, most=2)
    for number in range(3):
        await one.put(f"{number}.test", ENTRY._replace(fetched=float(number)))
    assert await two.find("0.test") is None  # fetched longest ago
    assert await two.find("2.test") == ENTRY._replace(fetched=2.0)
    one.close()
    two.close()
    again = SqliteStsMemory(path)
    assert await again.find("1.test") == ENTRY._replace(fetched=1.0)
    again.close()
    assert await again.find("1.test") is None  # closed: knows nothing, raises nothing
