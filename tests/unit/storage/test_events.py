"""The events' day files: several writers at once, files that go, and one that may not be waited for."""

from __future__ import annotations

import threading

import apsw
import pytest

from ekiden.ports.event_store import EventEntry, EventQuery, EventStoreFailed
from ekiden.storage.sqlite.connection import WriteLock
from ekiden.storage.sqlite.events import SqliteEventKeeper, SqliteEvents

DAY = 86_400.0
NOON = 1_767_225_600.0 + DAY / 2


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "events"


@pytest.fixture
def open_keeper(folder):
    keepers = []

    def make(**keys):
        keepers.append(SqliteEventKeeper(folder, **{"days": 30, "octets": 1 << 30, **keys}))
        return keepers[-1]

    yield make
    for keeper in keepers:
        keeper.close()


def entries(count, prefix="", at=0.0):
    return [
        EventEntry(NOON + at + n, "login.failed", "info", "", "192.0.2.7", "", "", f"{prefix}{n}".encode())
        for n in range(count)
    ]


async def test_two_writers_at_once_lose_nothing(folder, open_keeper):
    keepers = [open_keeper(), open_keeper()]
    threads = [
        threading.Thread(target=lambda k=keeper, n=number: [k.write(entries(50, f"{n}.{m}.")) for m in range(20)])
        for number, keeper in enumerate(keepers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = await SqliteEvents(folder).find(EventQuery(limit=10_000))
    assert len({event.line for event in found.events}) == 2 * 20 * 50


async def test_a_file_a_day_for_the_service_user_alone(folder, open_keeper):
    open_keeper().write([*entries(1), *entries(1, at=DAY)])
    files = sorted(path for path in folder.iterdir() if path.suffix == ".db")
    assert [path.name for path in files] == ["2026-01-01.db", "2026-01-02.db"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_who_has_patience_does_not_hang(folder, open_keeper):
    open_keeper().write(entries(1))
    lock = WriteLock(folder / "write.lock")
    with lock, pytest.raises(TimeoutError):
        open_keeper(patience=0.0).write(entries(1))
    open_keeper(patience=0.0).write(entries(1))
    lock.close()


async def test_a_file_that_somebody_removed_is_made_anew(folder, open_keeper):
    keeper = open_keeper()
    keeper.write(entries(1))
    (folder / "2026-01-01.db").unlink()
    keeper.tidy(NOON)
    keeper.write(entries(2, "new"))
    found = await SqliteEvents(folder).find(EventQuery())
    assert [event.line for event in found.events] == [b"new0", b"new1"]


async def test_one_process_at_a_time_drops_days(folder, open_keeper):
    keeper, other = open_keeper(days=1), open_keeper(days=1)
    other.tidy(NOON)
    keeper.write(entries(1, at=-5 * DAY))
    keeper.tidy(NOON)
    assert (folder / "2025-12-27.db").exists()
    other.close()
    keeper.tidy(NOON)
    assert not (folder / "2025-12-27.db").exists()


async def test_a_load_is_kept_whole_or_not_at_all(folder, open_keeper):
    keeper = open_keeper()
    keeper.write(entries(1))
    keeper._connection("2026-01-01").execute("CREATE TRIGGER t BEFORE INSERT ON event WHEN new.line = x'33' "
                                             "BEGIN SELECT raise(ABORT, 'full'); END")  # fmt: skip
    with pytest.raises(apsw.Error):
        keeper.write(entries(5))
    assert len((await SqliteEvents(folder).find(EventQuery())).events) == 1


async def test_what_is_no_database_of_ours_is_told(folder):
    folder.mkdir()
    (folder / "2026-01-01.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(EventStoreFailed, match="can not be read"):
        await SqliteEvents(folder).find(EventQuery())


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"account": "a@b"}, "event_account"),
        ({"networks": ("192.0.2.7",)}, "event_client"),
        ({"names": ("login.*",)}, "event_name"),
        ({"letter": "x"}, "event_letter"),
        ({"since": 1.0}, "event_time"),
    ],
)
async def test_every_usual_question_has_its_index(folder, open_keeper, query, index):
    from ekiden.storage.sqlite.events import _condition

    keeper = open_keeper()
    keeper.write(entries(1))
    condition, values = _condition(EventQuery(**query))
    question = f"SELECT time, line FROM event WHERE {condition} AND id <= 9 ORDER BY time DESC, id DESC"
    plan = keeper._connection("2026-01-01").execute(f"EXPLAIN QUERY PLAN {question}", values).fetchall()
    assert any(index in str(row) for row in plan), plan
