"""KnownPairs, every engine: who was here before is known, and nobody else."""

from __future__ import annotations

import pytest

from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from ekiden.storage.sqlite.known_pairs import SqliteKnownPairs
from tests.fakes.clock import FakeClock

YOU, HOME, AWAY = "you@example.test", "192.0.2.0/24", "2001:db8:1::/48"


@pytest.fixture(params=["memory", "sqlite"])
async def pairs(request, tmp_path):
    made = MemoryKnownPairs() if request.param == "memory" else SqliteKnownPairs(tmp_path / "logins.db", FakeClock())
    yield made
    made.close()


async def test_nobody_is_known_at_first(pairs):
    assert not await pairs.knows(YOU, HOME)
    assert not await pairs.knows("", "")


async def test_a_success_is_known_at_once_and_for_that_pair_alone(pairs):
    assert not await pairs.knows(YOU, HOME)
    pairs.succeeded(YOU, HOME)
    assert await pairs.knows(YOU, HOME)
    assert not await pairs.knows(YOU, AWAY)
    assert not await pairs.knows("bob@example.test", HOME)


async def test_a_network_is_known_by_anybody_from_there(pairs):
    assert not await pairs.knows_network(HOME)
    pairs.succeeded(YOU, HOME)
    assert await pairs.knows_network(HOME)
    assert not await pairs.knows_network(AWAY)


async def test_there_is_a_secret(pairs):
    assert len(pairs.secret) == 32
