"""The store of events: one indexed SQLite file a day (UTC), written by all processes of the server at once.

Rules
1. `synchronous=NORMAL`: what was written survives a killed process, and at a power cut the last moments may be missing
   (`ports.event_store`, rule 2). Nothing here is on the way of a letter.
2. Writers take turns by `events/write.lock`, never by the spool's lock. Who must not hang (the supervisor, a command)
   has `patience`: a writer that stands still with the lock in hand costs an event and not the server.
3. Old days are dropped whole, by one process at a time (`events/keeper.lock`), by age and then by octets. Today may
   take half of them: beyond that its oldest events go, and their room is used again. So the folder stays within what
   it may take, but for what comes between two looks, and a flood at noon does not cost all days before.
4. Ids of a file only grow, in the order of the commits: who remembers the last one it has seen misses nothing.

Called by `telemetry.keeping` in a thread, by `app.direct_events`, and, for reading, by the commands.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import apsw

from ekiden.ports.event_store import EventEntry, EventQuery, EventStoreFailed, FoundEvents, KeptEvent
from ekiden.storage.event_search import LEVELS, address_key, key_range, name_range
from ekiden.storage.sqlite.connection import DatabaseRefused, WriteLock, open_database, rows, transaction
from ekiden.storage.sqlite.day_files import DayFiles, day_of, insert_many
from ekiden.storage.sqlite.migrations import migrate

#: 'EKev'
APPLICATION_ID: Final = 0x454B6576

STEPS: Final = (
    (
        """CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, name TEXT NOT NULL, level INTEGER NOT NULL,
            account TEXT NOT NULL, client BLOB NOT NULL, door TEXT NOT NULL, letter TEXT NOT NULL, line BLOB NOT NULL)
        """,
        "CREATE INDEX event_time ON event (time)",
        "CREATE INDEX event_name ON event (name, time)",
        "CREATE INDEX event_account ON event (account, time) WHERE account != ''",
        "CREATE INDEX event_client ON event (client) WHERE client != x''",
        "CREATE INDEX event_letter ON event (letter) WHERE letter != ''",
    ),
)
_COLUMNS: Final = "event (time, name, level, account, client, door, letter, line)"
#: Events that one step of rule 3 removes: others get their turn in between.
SLICE: Final = 1000
#: How far today is emptied when it is too much: not with every batch again.
_ROOM: Final = 0.9
_DAY: Final = 86_400.0


class SqliteEventKeeper:
    """`ports.event_store.EventKeeper`. One thread; nothing is opened before the first call.

    `days`, `octets`: how much is kept; they may be changed at any time."""

    def __init__(self, folder: Path, *, days: int, octets: int, patience: float | None = None) -> None:
        self.days = days
        self.octets = octets
        self._files = DayFiles(folder)
        self._patience = patience
        self._lock: WriteLock | None = None
        self._open: dict[str, apsw.Connection] = {}
        self._turn = -1

    def write(self, entries: Sequence[EventEntry]) -> None:
        for day, group in groupby(sorted(entries, key=lambda entry: entry.time), key=lambda entry: day_of(entry.time)):
            new = [_row(entry) for entry in group]
            connection = self._connection(day)
            with self._writing(), transaction(connection):
                insert_many(connection, _COLUMNS, new)

    def tidy(self, now: float) -> None:
        """Rule 3. Does nothing if another process sees to it."""
        today = day_of(now)
        for day in [day for day in self._open if day != today or not self._files.path(day).exists()]:
            self._open.pop(day).close()  # midnight, or somebody removed the file
        if not self._take_turn():
            return
        oldest = day_of(now - self.days * _DAY)
        days = self._files.all()
        total = sum(self._files.octets(day) for day in days)
        for day in days:
            if day == today or (day >= oldest and total <= self.octets):
                continue
            total -= self._files.octets(day)
            self._files.drop(day)
        if today in days and self._files.octets(today) > self.octets // 2:
            self._empty(self._connection(today))

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1

    def _writing(self) -> WriteLock:
        if self._lock is None:
            self._lock = WriteLock(self._files.folder / "write.lock", self._patience)
        return self._lock

    def _connection(self, day: str) -> apsw.Connection:
        connection = self._open.get(day)
        if connection is None:
            self._files.folder.mkdir(mode=0o700, exist_ok=True)
            connection = open_database(self._files.path(day), synchronous="NORMAL", patience=self._patience)
            try:
                migrate(connection, application_id=APPLICATION_ID, steps=STEPS)
            except Exception:
                connection.close()
                raise
            self._open[day] = connection
        return connection

    def _take_turn(self) -> bool:
        if self._turn >= 0:
            return True
        self._files.folder.mkdir(mode=0o700, exist_ok=True)
        path = self._files.folder / "keeper.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._turn = descriptor
        return True

    def _empty(self, connection: apsw.Connection) -> None:
        """Free pages stay in the file, for what comes."""
        while _used(connection) > self.octets // 2 * _ROOM:
            with self._writing(), transaction(connection):
                connection.execute("DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT ?)", (SLICE,))
                if not connection.changes():
                    return


class SqliteEvents:
    """`ports.event_store.EventStore` over a folder that servers write; writes nothing."""

    def __init__(self, folder: Path) -> None:
        self._files = DayFiles(folder)

    async def find(self, query: EventQuery) -> FoundEvents:
        return await asyncio.to_thread(self._find, query)

    def _find(self, query: EventQuery) -> FoundEvents:
        try:
            if query.after is None:
                return self._newest(query)
            return self._behind(query, query.after)
        except (apsw.Error, DatabaseRefused) as error:
            raise EventStoreFailed(f"the events can not be read: {error}") from error

    def _newest(self, query: EventQuery) -> FoundEvents:
        """The mark first, day by day, and nothing beyond it, so that nobody sees an event twice."""
        days = self._files.all()
        mark = {day: self._end(day) for day in days[-2:]}
        condition, values = _condition(query)
        found: list[KeptEvent] = []
        for day in reversed(_within(days, query)):
            question = f"{condition} AND id <= ? ORDER BY time DESC, id DESC LIMIT ?"
            end = mark.get(day, (1 << 63) - 1)
            found += [KeptEvent(*row) for row in self._ask(day, question, [*values, end, query.limit - len(found)])]
            if len(found) >= query.limit:
                break
        return FoundEvents(found[::-1], mark)

    def _behind(self, query: EventQuery, after: Mapping[str, int]) -> FoundEvents:
        condition, values = _condition(query)
        mark, found = dict(after), list[KeptEvent]()
        for day in (day for day in self._files.all() if day >= min(after, default="")):
            room = query.limit - len(found)
            if not room:
                break
            start, end = after.get(day, 0), self._end(day)
            question = f"{condition} AND id > ? AND id <= ? ORDER BY id LIMIT ?"
            new = self._ask(day, question, [*values, start, end, room], with_id=True)
            found += [KeptEvent(time, line) for time, line, _ in new]
            mark[day] = new[-1][2] if len(new) == room else max(start, end)
        return FoundEvents(sorted(found), mark)

    def _end(self, day: str) -> int:
        found = self._rows(day, "SELECT ifnull(max(id), 0) FROM event", ())
        return int(found[0][0]) if found else 0

    def _ask(self, day: str, condition: str, values: Sequence[Any], *, with_id: bool = False) -> list[Any]:
        return self._rows(day, f"SELECT time, line{', id' * with_id} FROM event WHERE {condition}", values)

    def _rows(self, day: str, question: str, values: Sequence[Any]) -> list[Any]:
        connection = self._files.reader(day, application_id=APPLICATION_ID, steps=STEPS)
        if connection is None:
            return []
        try:
            return rows(connection, question, values)
        finally:
            connection.close()


def _row(entry: EventEntry) -> tuple[Any, ...]:
    level, account = LEVELS.get(entry.level, 0), entry.account.lower()
    return entry.time, entry.name, level, account, address_key(entry.client), entry.door, entry.letter, entry.line


def _used(connection: apsw.Connection) -> int:
    pages, free, size = (connection.pragma(name) for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def _within(days: Sequence[str], query: EventQuery) -> list[str]:
    first = "" if query.since is None else day_of(query.since)
    last = "9" if query.until is None else day_of(query.until)
    return [day for day in days if first <= day <= last]


def _condition(query: EventQuery) -> tuple[str, list[Any]]:
    """What `storage.event_search.meets` says, as SQL. What partial indexes need is written out."""
    parts, values = ["TRUE"], list[Any]()

    def add(part: str, *new: Any) -> None:
        parts.append(part)
        values.extend(new)

    if query.since is not None:
        add("time >= ?", query.since)
    if query.until is not None:
        add("time < ?", query.until)
    if query.account:
        add("account = ? AND account != ''", query.account.lower())
    if query.networks:
        ranges = [key_range(network) for network in query.networks]
        add(_any("client BETWEEN ? AND ? AND client != x''", len(ranges)), *(key for pair in ranges for key in pair))
    if query.names:
        bounds = [name_range(name) for name in query.names]
        add(_any("name >= ? AND name < ?", len(bounds)), *(bound for pair in bounds for bound in pair))
    if query.door:
        add("door = ?", query.door)
    if query.letter:
        add("letter = ? AND letter != ''", query.letter)
    if query.level:
        add("level >= ?", LEVELS.get(query.level, 0))
    return " AND ".join(parts), values


def _any(condition: str, count: int) -> str:
    return "(" + " OR ".join([f"({condition})"] * count) + ")"
