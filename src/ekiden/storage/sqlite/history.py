"""History: the trail of each letter, one indexed SQLite file a day, out of the queue's way (DESIGN §5).

Rules
1. `record` appends to the outbox in spool.db, in its own transaction. The mover carries entries to the file of their
   day (UTC), syncs that, then takes them out of the outbox; if it dies in between it repeats itself, and entries that
   are there already are left (their outbox id is the key).
2. One mover works at a time: it holds `history/mover.lock`; the others look again now and then.
3. What invariant 2 needs is in the spool; history may be deleted file by file, and is, by days and octets. The
   newest file always stays.
4. synchronous=NORMAL; the write-ahead log is synced once a load, before the outbox is emptied.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from ekiden.model.ids import EPOCH_MS, LetterId
from ekiden.ports.spool import TrailEntry
from ekiden.storage.duty import message_id_key
from ekiden.storage.sqlite.connection import WriteLock, open_database, rows, sync_directory
from ekiden.storage.sqlite.day_files import DayFiles, day_of, insert_many
from ekiden.storage.sqlite.migrations import migrate

#: 'EKhi'
APPLICATION_ID: Final = 0x454B6869

STEPS: Final = (
    (
        """CREATE TABLE entry (id INTEGER PRIMARY KEY, letter INTEGER NOT NULL, message_id TEXT NOT NULL,
            reverse_path TEXT NOT NULL, entry BLOB NOT NULL)""",
        "CREATE INDEX entry_letter ON entry (letter)",
        "CREATE INDEX entry_message_id ON entry (message_id)",
        "CREATE INDEX entry_reverse_path ON entry (reverse_path)",
        """CREATE TABLE recipient (forward_path TEXT NOT NULL, entry INTEGER NOT NULL,
            PRIMARY KEY (forward_path, entry)) WITHOUT ROWID""",
    ),
)

#: Entries carried at once; also what one transaction in spool.db deletes (DESIGN §4: slices of at most 1,000).
LOAD: Final = 1000

_decode = msgspec.msgpack.Decoder(TrailEntry).decode


class Days(DayFiles):
    """The day files of the history, for reading. A file that was dropped meanwhile has nothing to say."""

    def since_letter(self, letter: LetterId) -> list[str]:
        """The days that can tell of a letter: from the one before its id was made (the clock may have been wrong)."""
        first = day_of(((letter >> 22) + EPOCH_MS) / 1000 - 86_400)
        return [day for day in self.all() if day >= first]

    def of_letter(self, day: str, letter: int) -> dict[int, bytes]:
        """Entries by outbox id, encoded."""
        return dict(self._ask(day, "SELECT id, entry FROM entry WHERE letter = ?", (letter,)))

    def with_message_id(self, day: str, key: str) -> list[int]:
        return [row[0] for row in self._ask(day, "SELECT DISTINCT letter FROM entry WHERE message_id = ?", (key,))]

    def _ask(self, day: str, question: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = self.reader(day, application_id=APPLICATION_ID, steps=STEPS)
        if connection is None:
            return []
        try:
            return rows(connection, question, values)
        finally:
            connection.close()


class Mover:
    """Carries the outbox of `database` (spool.db) to the day files. Blocking: for a thread of its own.

    `days`, `octets`: how much is kept.
    """

    def __init__(self, database: Path, lock: Path, folder: Path, *, days: int, octets: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._database = database
        self._lock_path = lock
        self._days = Days(folder)
        self._keep_days = days
        self._keep_octets = octets
        self._lock: WriteLock | None = None
        self._outbox: apsw.Connection | None = None
        self._files: dict[str, apsw.Connection] = {}
        self._turn = -1
        self._carried = 0

    def work(self, now: float) -> int | None:
        """Carries what is there, then drops old days. How many entries; None if another mover is at work.

        Raises apsw.Error, DatabaseRefused or OSError; it may be called again after that."""
        if not self._take_turn():
            return None
        try:
            moved = self._carry_all()
        except Exception:
            self._close_databases()
            raise
        self._close_files(keep=day_of(now))
        self._prune(now)
        return moved

    def close(self) -> None:
        self._close_databases()
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1

    def _take_turn(self) -> bool:
        if self._turn >= 0:
            return True
        descriptor = os.open(self._days.folder / "mover.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._turn = descriptor
        return True

    def _carry_all(self) -> int:
        if self._outbox is None or self._lock is None:
            self._outbox = open_database(self._database, synchronous="FULL")
            self._lock = WriteLock(self._lock_path)
        moved = 0
        while True:
            load = rows(
                self._outbox,
                "SELECT id, letter, entry FROM outbox WHERE id > ? AND letter != 0 ORDER BY id LIMIT ?",
                (self._carried, LOAD),
            )
            if not load:
                return moved
            self._store(load)
            self._carried = load[-1][0]
            with self._lock:
                self._outbox.execute("DELETE FROM outbox WHERE id < ?", (self._carried,))  # schema rule 5
            moved += len(load)

    def _store(self, load: Sequence[tuple[int, int, bytes]]) -> None:
        by_day: dict[str, list[tuple[int, int, bytes, TrailEntry]]] = {}
        for number, letter, blob in load:
            try:
                entry = _decode(blob)
            except msgspec.MsgspecError:
                continue  # nobody could ever read it; it must not stop what comes behind it
            by_day.setdefault(day_of(entry.time), []).append((number, letter, blob, entry))
        for day, entries in by_day.items():
            connection = self._file(day)
            with connection:
                insert_many(
                    connection,
                    "entry",
                    [
                        (number, letter, message_id_key(e.envelope.message_id), e.envelope.reverse_path.lower(), blob)
                        for number, letter, blob, e in entries
                    ],
                )
                insert_many(
                    connection,
                    "recipient",
                    [(o.forward_path.lower(), number) for number, _, _, e in entries for o in e.outcomes],
                )
            _sync_log(self._days.path(day))

    def _file(self, day: str) -> apsw.Connection:
        connection = self._files.get(day)
        if connection is None:
            connection = open_database(self._days.path(day), synchronous="NORMAL")
            migrate(connection, application_id=APPLICATION_ID, steps=STEPS)
            self._files[day] = connection
        return connection

    def _prune(self, now: float) -> None:
        """Whole files, oldest first: beyond the days, then beyond the octets."""
        oldest = day_of(now - self._keep_days * 86_400)
        total = sum(self._days.octets(day) for day in self._days.all())
        for day in self._days.all()[:-1]:
            if day >= oldest and total <= self._keep_octets:
                break
            total -= self._days.octets(day)
            if (connection := self._files.pop(day, None)) is not None:
                connection.close()
            self._days.drop(day)

    def _close_files(self, keep: str = "") -> None:
        for day in [day for day in self._files if day != keep]:
            self._files.pop(day).close()

    def _close_databases(self) -> None:
        self._close_files()
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _sync_log(path: Path) -> None:
    """Rule 4. The log file carries no locks of SQLite's, so opening and closing it is harmless."""
    descriptor = os.open(path.with_name(path.name + "-wal"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
