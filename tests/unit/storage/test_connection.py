"""Opening and migrating SQLite databases."""

from __future__ import annotations

import fcntl
import os
import stat
import threading

import apsw
import pytest

from ekiden.storage.sqlite.connection import (
    DatabaseRefused,
    WriteLock,
    check_version,
    open_database,
    open_for_reading,
    transaction,
)
from ekiden.storage.sqlite.migrations import migrate, require

OURS = 0x1234
STEPS = (("CREATE TABLE a (x)", "INSERT INTO a VALUES (1)"), ("ALTER TABLE a ADD COLUMN y DEFAULT 2",))


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_versions_with_the_wal_reset_bug_are_refused(version):
    with pytest.raises(DatabaseRefused, match=r"3\.51\.3 is needed"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52", "3.54.1", "4.0.0"])
def test_later_versions_are_taken(version):
    check_version(version)


@pytest.mark.parametrize(("synchronous", "value"), [("FULL", 2), ("NORMAL", 1)])
def test_pragmas_are_as_promised(tmp_path, synchronous, value):
    connection = open_database(tmp_path / "a.db", synchronous=synchronous)
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == value
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600
    connection.close()


def test_what_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"this is a text" * 100)
    for open_it in (lambda: open_database(path, synchronous="FULL"), lambda: open_for_reading(path)):
        with pytest.raises(DatabaseRefused, match=r"a\.db"):
            open_it()
    assert path.read_bytes() == b"this is a text" * 100


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(DatabaseRefused, match="No such file"):
        open_database(tmp_path / "missing" / "a.db", synchronous="FULL")


def test_reading_does_not_make_and_does_not_write(tmp_path):
    with pytest.raises(DatabaseRefused):
        open_for_reading(tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []
    writer = open_database(tmp_path / "a.db", synchronous="FULL")
    writer.execute("CREATE TABLE a (x)")
    reader = open_for_reading(tmp_path / "a.db")
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("INSERT INTO a VALUES (1)")
    reader.close()
    writer.close()


def test_migrations_are_taken_once_and_in_order(tmp_path):
    connection = open_database(tmp_path / "a.db", synchronous="FULL")
    migrate(connection, application_id=OURS, steps=STEPS[:1])
    with pytest.raises(DatabaseRefused, match="schema 1"):
        require(connection, application_id=OURS, steps=STEPS)
    for _ in range(2):
        migrate(connection, application_id=OURS, steps=STEPS)
    require(connection, application_id=OURS, steps=STEPS)
    assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2)]
    connection.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path):
    connection = open_database(tmp_path / "a.db", synchronous="FULL")
    migrate(connection, application_id=OURS, steps=STEPS[:1])
    with pytest.raises(apsw.SQLError):
        migrate(connection, application_id=OURS, steps=(*STEPS, ("CREATE TABLE b (x)", "no sql")))
    assert connection.pragma("user_version") == 1
    assert connection.execute("SELECT * FROM a").fetchall() == [(1,)]
    connection.close()


def test_foreign_and_newer_databases_are_refused(tmp_path):
    connection = open_database(tmp_path / "a.db", synchronous="FULL")
    migrate(connection, application_id=OURS, steps=STEPS)
    with pytest.raises(DatabaseRefused, match="newer"):
        migrate(connection, application_id=OURS, steps=STEPS[:1])
    with pytest.raises(DatabaseRefused, match="not ours"):
        migrate(connection, application_id=OURS + 1, steps=STEPS)
    connection.close()
    stranger = open_database(tmp_path / "b.db", synchronous="FULL")
    stranger.execute("CREATE TABLE theirs (x)")
    with pytest.raises(DatabaseRefused, match="not ours"):
        migrate(stranger, application_id=OURS, steps=STEPS)
    stranger.close()


def test_a_transaction_that_raises_is_rolled_back(tmp_path):
    connection = open_database(tmp_path / "a.db", synchronous="FULL")
    connection.execute("CREATE TABLE a (x)")
    with pytest.raises(apsw.SQLError), transaction(connection):  # noqa: PT012 - the first statement must be undone
        connection.execute("INSERT INTO a VALUES (1)")
        connection.execute("no sql")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM a").get == 0
    connection.close()


def test_the_write_lock_keeps_others_out_until_it_is_left(tmp_path):
    first, second = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    order = []

    def wait():
        with second:
            order.append("second")

    with first:
        waiting = threading.Thread(target=wait)
        waiting.start()
        probe = os.open(tmp_path / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(probe)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    first.close()
    second.close()
