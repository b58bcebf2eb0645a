"""The store of events, on every engine: what is found, in which order, and what is forgotten."""

from __future__ import annotations

import pytest

from ekiden.ports.event_store import EventEntry, EventQuery
from ekiden.storage.memory.events import MemoryEvents
from ekiden.storage.sqlite.events import SqliteEventKeeper, SqliteEvents

DAY = 86_400.0
NOON = 1_767_225_600.0 + DAY / 2


class EventHouse:
    """`open` gives another process's way in; `store` is a reader's."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.keepers = []
        self.store = MemoryEvents() if engine == "memory" else SqliteEvents(folder / "events")

    def open(self, *, days=30, octets=1 << 30):
        if self.engine == "memory":
            keeper = MemoryEvents(days=days, octets=octets, shared=self.store)
        else:
            keeper = SqliteEventKeeper(self.folder / "events", days=days, octets=octets)
        self.keepers.append(keeper)
        return keeper

    async def lines(self, **query):
        return [event.line.decode() for event in (await self.store.find(EventQuery(**query))).events]


@pytest.fixture(params=["memory", "sqlite"])
def house(request, tmp_path):
    house = EventHouse(request.param, tmp_path)
    yield house
    for keeper in house.keepers:
        keeper.close()


def entry(line, *, at=0.0, name="login.failed", level="info", account="", client="", door="", letter=""):
    return EventEntry(NOON + at, name, level, account, client, door, letter, line.encode())


async def test_an_empty_store_has_nothing(house):
    found = await house.store.find(EventQuery())
    assert found.events == []
    assert (await house.store.find(EventQuery(after=found.mark))).events == []


async def test_the_oldest_come_first_and_the_limit_takes_the_newest(house):
    first, second = house.open(), house.open()
    first.write([entry("c", at=3), entry("a", at=-DAY)])
    second.write([entry("b", at=2), entry("d", at=DAY)])
    assert await house.lines() == ["a", "b", "c", "d"]
    assert await house.lines(limit=2) == ["c", "d"]
    assert await house.lines(limit=3) == ["b", "c", "d"]


async def test_time_begins_with_since_and_ends_before_until(house):
    house.open().write([entry("a", at=-DAY), entry("b", at=-1), entry("c"), entry("d", at=1), entry("e", at=DAY)])
    assert await house.lines(since=NOON) == ["c", "d", "e"]
    assert await house.lines(until=NOON) == ["a", "b"]
    assert await house.lines(since=NOON - 1, until=NOON + 1) == ["b", "c"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"account": "Alice@example.test"}, "ab"),
        ({"account": "bob@example.test"}, ""),
        ({"networks": ("192.0.2.7",)}, "a"),
        ({"networks": ("192.0.2.0/24",)}, "ab"),
        ({"networks": ("192.0.2.128/25", "2001:db8::/32")}, "bc"),
        ({"networks": ("::/0",)}, "abcd"),
        ({"networks": ("0.0.0.0/0",)}, "abd"),
        ({"names": ("login.failed",)}, "bcde"),
        ({"names": ("login.*",)}, "abcde"),
        ({"names": ("login.succeeded", "queue.*")}, "af"),
        ({"names": ("*",)}, "abcdef"),
        ({"names": ("login",)}, ""),
        ({"door": "relay"}, "c"),
        ({"letter": "0am49r1240400"}, "f"),
        ({"level": "warning"}, "de"),
        ({"level": "error"}, "e"),
        ({"level": "info"}, "abcdef"),
        ({"account": "alice@example.test", "networks": ("192.0.2.7",), "names": ("login.failed",)}, ""),
        ({"account": "x' OR 1=1 --"}, ""),
    ],
)
async def test_what_is_found(house, query, found):
    house.open().write(
        [
            entry("a", name="login.succeeded", account="alice@example.test", client="192.0.2.7"),
            entry("b", account="ALICE@example.test", client="192.0.2.200"),
            entry("c", client="2001:db8::1", door="relay"),
            entry("d", level="warning", client="198.51.100.1"),
            entry("e", level="error"),
            entry("f", name="queue.changed", letter="0am49r1240400"),
        ]
    )
    assert await house.lines(**query) == list(found)


async def test_a_network_is_found_by_what_contains_it(house):
    house.open().write([entry("a", client="192.0.2.0/24"), entry("b", client="fe80::1%eth0"), entry("c", client="?")])
    assert await house.lines(networks=("192.0.2.0/24",)) == ["a"]
    assert await house.lines(networks=("fe80::/10",)) == ["b"]


async def test_who_follows_misses_nothing_and_sees_nothing_twice(house):
    keeper, other = house.open(), house.open()
    keeper.write([entry("a", at=-DAY), entry("b")])
    found = await house.store.find(EventQuery(limit=1))
    assert [event.line for event in found.events] == [b"b"]
    keeper.write([entry("c", at=5)])
    other.write([entry("late", at=-10)])
    other.write([entry("yesterday", at=-DAY)])
    keeper.write([entry("tomorrow", at=DAY), entry("x", name="queue.changed")])
    seen = []
    for _ in range(4):
        found = await house.store.find(EventQuery(after=found.mark, names=("login.*",), limit=2))
        seen += [event.line.decode() for event in found.events]
    assert sorted(seen) == ["c", "late", "tomorrow", "yesterday"]
    assert (await house.store.find(EventQuery(after=found.mark))).events == []


async def test_who_follows_an_empty_store_sees_the_first_event(house):
    found = await house.store.find(EventQuery())
    house.open().write([entry("a")])
    assert [event.line for event in (await house.store.find(EventQuery(after=found.mark))).events] == [b"a"]


async def test_old_days_are_forgotten(house):
    keeper = house.open(days=2)
    keeper.write([entry(str(day), at=-day * DAY) for day in range(5)])
    keeper.tidy(NOON)
    assert await house.lines() == ["2", "1", "0"]


async def test_days_are_forgotten_when_they_are_too_much(house):
    keeper = house.open(octets=600_000)
    for day in range(5):
        keeper.write([entry(f"{day}{'x' * 1000}", at=-day * DAY) for _ in range(200)])
    keeper.tidy(NOON)
    days = {line[0] for line in await house.lines(limit=10_000)}
    assert "0" in days
    assert "4" not in days


async def test_today_is_bounded_too_and_the_newest_stay(house):
    keeper = house.open(octets=1_000_000)
    for load in range(30):
        keeper.write([entry(f"{load:03}{'x' * 1000}", at=load) for _ in range(100)])
        keeper.tidy(NOON)
    lines = await house.lines(limit=10_000)
    assert 100 <= len(lines) <= 1000
    assert lines[-1].startswith("029")
    assert not [line for line in lines if line.startswith("000")]
