"""SqliteKnownPairs: what it keeps, for how long, and that it stops nobody when it fails."""

from __future__ import annotations

import apsw
import pytest

from ekiden.storage.sqlite import known_pairs
from ekiden.storage.sqlite.known_pairs import DAY, SqliteKnownPairs
from tests.fakes.clock import FakeClock

YOU, HOME = "you@example.test", "192.0.2.0/24"


class House:
    def __init__(self, folder):
        self.path = folder / "logins.db"
        self.clock = FakeClock()

    def open(self):
        return SqliteKnownPairs(self.path, self.clock)

    def rows(self):
        connection = apsw.Connection(str(self.path))
        found = connection.execute("SELECT account, network, day FROM known_pair ORDER BY account").fetchall()
        connection.close()
        return found

    async def with_one(self):
        pairs = self.open()
        pairs.succeeded(YOU, HOME)
        pairs.close()


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def test_what_was_known_is_known_to_the_next_worker_and_after_a_start(house):
    await house.with_one()
    for _ in range(2):
        pairs = house.open()
        assert await pairs.knows(YOU, HOME)
        pairs.close()


async def test_the_secret_stays_and_is_each_installations_own(house, tmp_path):
    secrets = set()
    for _ in range(2):
        pairs = house.open()
        secrets.add(pairs.secret)
        pairs.close()
    other = SqliteKnownPairs(tmp_path / "other.db", house.clock)
    assert len(secrets) == 1
    assert other.secret not in secrets
    other.close()


async def test_a_pair_is_forgotten_ninety_days_after_its_last_success(house):
    await house.with_one()
    house.clock.advance(89 * DAY)
    pairs = house.open()
    assert await pairs.knows(YOU, HOME)
    pairs.succeeded(YOU, HOME)
    pairs.close()
    house.clock.advance(90 * DAY)
    pairs = house.open()
    assert not await pairs.knows(YOU, HOME)
    pairs.succeeded("bob@example.test", HOME)
    pairs.close()
    assert [row[0] for row in house.rows()] == ["bob@example.test"]


async def test_another_workers_news_come_within_a_minute(house):
    here, there = house.open(), house.open()
    assert not await here.knows(YOU, HOME)
    there.succeeded(YOU, HOME)
    there.close()
    assert not await here.knows(YOU, HOME)
    house.clock.advance(60)
    assert await here.knows(YOU, HOME)
    here.close()


async def test_a_pair_is_written_once_a_day(house, monkeypatch):
    written = []
    monkeypatch.setattr(SqliteKnownPairs, "_write", lambda self, pairs, today: written.append(pairs))
    pairs = house.open()
    pairs.succeeded(YOU, HOME)
    pairs.succeeded(YOU, HOME)
    pairs._write_soon()
    pairs.succeeded(YOU, HOME)
    assert not pairs._waiting
    house.clock.advance(DAY)
    pairs.succeeded(YOU, HOME)
    pairs.close()
    assert [list(each) for each in written] == [[(YOU, HOME)], [(YOU, HOME)]]


async def test_a_database_that_fails_knows_nobody_and_stops_nobody(house):
    pairs = house.open()
    pairs._connection.execute("DROP TABLE known_pair")
    assert not await pairs.knows(YOU, HOME)
    pairs.succeeded(YOU, HOME)
    pairs.close()


async def test_the_memory_is_bounded(house, monkeypatch):
    monkeypatch.setattr(known_pairs, "MEMORY", 3)
    pairs = house.open()
    for n in range(9):
        await pairs.knows(f"{n}@example.test", HOME)
        pairs.succeeded(f"{n}@example.test", HOME)
    assert len(pairs._believed) == len(pairs._noted) == 3
    pairs.close()
    assert len(house.rows()) == 9


async def test_no_address_is_kept(house):
    await house.with_one()
    assert house.rows() == [(YOU, HOME, int(house.clock.now() // DAY))]
