"""The contract of `ports.counts.CountStore`, on every engine; what SQLite keeps, and what it folds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.model.measures import OTHER
from ekiden.ports.counts import CountsFailed
from ekiden.storage.memory.counts import MemoryCounts
from ekiden.storage.sqlite.counts import KEY_DAYS, KEYS_KEPT, WEEKS_KEPT, SqliteCounts

HOUR = 490_000
Store = MemoryCounts | SqliteCounts


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryCounts() if request.param == "memory" else SqliteCounts(tmp_path / "watch")
    yield made
    made.close()


async def test_counts_of_an_hour_add_up(store: Store) -> None:
    await store.add(HOUR, {"refused": {"a": 2, "b": 5}, "sessions": {"relay": 1}})
    await store.add(HOUR, {"refused": {"a": 4}})
    await store.add(HOUR, {})
    await store.add(HOUR - 3, {"refused": {"a": 1}})
    assert await store.totals("refused", [HOUR, HOUR - 1, HOUR - 3]) == {HOUR: 11, HOUR - 3: 1}
    assert await store.totals("refused", []) == {}
    assert list((await store.top("refused", HOUR, 5)).items()) == [("a", 6), ("b", 5)]
    assert await store.top("refused", HOUR, 1) == {"a": 6}
    assert await store.top("refused", HOUR - 1, 1) == {}


async def test_a_peak_is_the_highest(store: Store) -> None:
    for value in (3, 7, 5):
        await store.peak(HOUR, "queue", value)
    assert await store.totals("queue", [HOUR]) == {HOUR: 7}


async def test_the_first_hour(store: Store) -> None:
    assert await store.first_hour("up") is None
    await store.add(HOUR, {"up": {"": 1}})
    await store.add(HOUR + 1, {"up": {"": 1}})
    await store.add(HOUR - 9, {"refused": {"a": 1}})
    assert await store.first_hour("up") == HOUR


async def test_telling_begins_once_an_hour(store: Store) -> None:
    assert await store.begin_telling("queue", HOUR)
    assert not await store.begin_telling("queue", HOUR)
    assert await store.begin_telling("refused", HOUR)
    assert await store.begin_telling("queue", HOUR + 1)
    assert not await store.begin_telling("queue", HOUR)
    assert await store.begin_telling("queue", HOUR + 1000), "the clock is wrong"
    assert await store.begin_telling("queue", HOUR + 2), "and was set right"
    assert not await store.begin_telling("queue", HOUR + 2)


async def test_two_workers_and_a_restart(tmp_path: Path) -> None:
    one, two = SqliteCounts(tmp_path / "watch"), SqliteCounts(tmp_path / "watch")
    await one.add(HOUR, {"refused": {"a": 2}})
    await two.add(HOUR, {"refused": {"a": 3}})
    assert await one.begin_telling("refused", HOUR)
    assert not await two.begin_telling("refused", HOUR)
    one.close()
    two.close()
    again = SqliteCounts(tmp_path / "watch")
    assert await again.totals("refused", [HOUR]) == {HOUR: 5}
    assert not await again.begin_telling("refused", HOUR)
    again.close()


async def test_keys_are_folded_and_totals_stay(tmp_path: Path) -> None:
    store = SqliteCounts(tmp_path / "watch")
    await store.add(HOUR, {"refused": {f"rule-{n:04}": n + 1 for n in range(3 * KEYS_KEPT)}})
    await store.add(HOUR, {"refused": {OTHER: 10}})
    total = (await store.totals("refused", [HOUR]))[HOUR]
    await store.tidy(HOUR)
    assert len(await store.top("refused", HOUR, 1000)) > KEYS_KEPT + 1, "the hour is not over"
    await store.tidy(HOUR + 1)
    kept = await store.top("refused", HOUR, 1000)
    assert len(kept) == KEYS_KEPT + 1
    assert f"rule-{3 * KEYS_KEPT - 1:04}" in kept
    assert sum(kept.values()) == total
    await store.tidy(HOUR + KEY_DAYS * 24)
    assert len(await store.top("refused", HOUR, 1000)) == KEYS_KEPT + 1
    await store.tidy(HOUR + KEY_DAYS * 24 + 1)
    assert await store.top("refused", HOUR, 1000) == {OTHER: total}
    await store.tidy(HOUR + WEEKS_KEPT * 7 * 24 + 1)
    assert await store.totals("refused", [HOUR]) == {}
    store.close()


async def test_a_pause_of_weeks_is_tidied_at_once(tmp_path: Path) -> None:
    store = SqliteCounts(tmp_path / "watch")
    for hour in range(HOUR, HOUR + 5):
        await store.add(hour, {"refused": {"a": 1, "b": 2}})
    await store.tidy(HOUR + 2)
    await store.tidy(HOUR + 30 * 24)
    assert await store.top("refused", HOUR + 4, 10) == {OTHER: 3}
    assert await store.top("refused", HOUR, 10) == {OTHER: 3}
    store.close()


async def test_a_file_that_is_no_database_is_a_failure_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "counts.db").write_bytes(b"no database at all" * 100)
    store = SqliteCounts(folder)
    with pytest.raises(CountsFailed, match="can not be kept"):
        await store.add(HOUR, {"refused": {"a": 1}})
    store.close()
    with pytest.raises(CountsFailed, match="closed"):
        await store.totals("refused", [HOUR])
