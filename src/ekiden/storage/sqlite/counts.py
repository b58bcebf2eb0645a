"""SqliteCounts: what was counted, by the hour, in `watch/counts.db`, written by all workers of a machine.

Rules
1. One row a measure, hour and key. Of an hour that is over the `KEYS_KEPT` highest keys of a measure stay, the rest is
   folded into `other`; after `KEY_DAYS` all keys are folded into one, and after `WEEKS_KEPT` the hour goes. So it never
   takes more than about 30 MB, whatever is counted.
2. synchronous=NORMAL: a power cut may take the last minute. Nothing waits for it but who asks.
3. One thread; writers of several processes take turns by `counts.lock`.

Contract: `ports.counts.CountStore`. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.model.measures import OTHER
from ekiden.ports.counts import Counted, CountsFailed
from ekiden.storage.sqlite.connection import DatabaseRefused, WriteLock, open_database, rows, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B436F  # "EkCo"
STEPS: Final = (
    (
        """CREATE TABLE count (measure TEXT NOT NULL, hour INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (measure, hour, key)) STRICT, WITHOUT ROWID""",
        "CREATE TABLE told (subject TEXT PRIMARY KEY, hour INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE tidied (one INTEGER PRIMARY KEY CHECK (one = 1), hour INTEGER NOT NULL) STRICT",
    ),
)
KEYS_KEPT: Final = 100
KEY_DAYS: Final = 14
#: One more than anomalies are compared with (`policy.anomaly`).
WEEKS_KEPT: Final = 9
#: What was told of an hour so far ahead was told by a clock that went wrong.
CLOCK_HOURS: Final = 24

_ADD: Final = "INSERT INTO count VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
_PEAK: Final = "INSERT INTO count VALUES (?, ?, '', ?) ON CONFLICT DO UPDATE SET n = max(n, excluded.n)"
_TELL: Final = """INSERT INTO told VALUES (?, ?)
    ON CONFLICT DO UPDATE SET hour = excluded.hour WHERE hour < ? OR hour > ?"""

T = TypeVar("T")


class SqliteCounts:
    """On one event loop; nothing is opened before the first call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: apsw.Connection | None = None
        self._lock: WriteLock | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counts")

    async def add(self, hour: int, counted: Counted) -> None:
        new = [(name, hour, key, n) for name, bucket in counted.items() for key, n in bucket.items()]
        if new:
            await self._write(lambda connection: connection.executemany(_ADD, new))

    async def peak(self, hour: int, measure: str, value: int) -> None:
        await self._write(lambda connection: connection.execute(_PEAK, (measure, hour, value)))

    async def totals(self, measure: str, hours: Collection[int]) -> dict[int, int]:
        marks = ",".join("?" * len(hours))
        question = f"SELECT hour, sum(n) FROM count WHERE measure = ? AND hour IN ({marks}) GROUP BY hour"
        return dict(await self._ask(lambda connection: rows(connection, question, (measure, *hours))))

    async def top(self, measure: str, hour: int, limit: int) -> dict[str, int]:
        question = "SELECT key, n FROM count WHERE measure = ? AND hour = ? ORDER BY n DESC, key LIMIT ?"
        return dict(await self._ask(lambda connection: rows(connection, question, (measure, hour, limit))))

    async def first_hour(self, measure: str) -> int | None:
        question = "SELECT min(hour) FROM count WHERE measure = ?"
        found = await self._ask(lambda connection: rows(connection, question, (measure,)))
        first: int | None = found[0][0]
        return first

    async def begin_telling(self, subject: str, hour: int) -> bool:
        def tell(connection: apsw.Connection) -> bool:
            connection.execute(_TELL, (subject, hour, hour, hour + CLOCK_HOURS))
            return connection.changes() > 0

        return await self._write(tell)

    async def tidy(self, hour: int) -> None:
        def tidy(connection: apsw.Connection) -> None:
            found = rows(connection, "SELECT hour FROM tidied", ())
            last = found[0][0] if found else 0
            if last >= hour:
                return
            connection.execute("INSERT OR REPLACE INTO tidied VALUES (1, ?)", (hour,))
            _fold(connection, last, hour)

        await self._write(tidy)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            self._lock.close()

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        def write(connection: apsw.Connection) -> T:
            if self._lock is None:
                self._lock = WriteLock(self._folder / "counts.lock")
            with self._lock, transaction(connection):
                return work(connection)

        return await self._ask(write)

    async def _ask(self, work: Callable[[apsw.Connection], T]) -> T:
        def ask() -> T:
            try:
                return work(self._open())
            except (apsw.Error, DatabaseRefused, OSError) as error:
                raise CountsFailed(f"what is counted can not be kept or read: {error}") from error

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        except RuntimeError as error:  # closed meanwhile
            raise CountsFailed("the counts are closed") from error

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            connection = open_database(self._folder / "counts.db", synchronous="NORMAL")
            try:
                migrate(connection, application_id=APPLICATION_ID, steps=STEPS)
            except Exception:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _fold(connection: apsw.Connection, last: int, hour: int) -> None:
    """Rule 1, for what ended since hour `last`."""
    measures = [name for (name,) in rows(connection, "SELECT DISTINCT measure FROM count", ())]
    old = hour - KEY_DAYS * 24
    for measure in measures:
        connection.execute("DELETE FROM count WHERE measure = ? AND hour < ?", (measure, hour - WEEKS_KEPT * 7 * 24))
        crowded = rows(
            connection,
            """SELECT hour, count(*) FROM count WHERE measure = ? AND hour >= ? AND hour < ?
                GROUP BY hour HAVING count(*) > ?""",
            (measure, max(last - 1, old), hour, KEYS_KEPT + 1),
        )
        for crowded_hour, _ in crowded:
            _fold_hour(connection, measure, crowded_hour, KEYS_KEPT)
        # Those that have become old since the last time; all of them after a long pause.
        aged = rows(
            connection,
            """SELECT hour FROM count WHERE measure = ? AND hour < ? AND hour >= ?
                GROUP BY hour HAVING count(*) > 1""",
            (measure, old, last - KEY_DAYS * 24 - 1 if last else 0),
        )
        for (aged_hour,) in aged:
            _fold_hour(connection, measure, aged_hour, 0)


def _fold_hour(connection: apsw.Connection, measure: str, hour: int, kept: int) -> None:
    """The `kept` highest keys stay; all others become `other`."""
    question = (
        "SELECT key, n FROM count WHERE measure = ? AND hour = ? AND key != ? ORDER BY n DESC, key LIMIT -1 OFFSET ?"
    )
    folded = rows(connection, question, (measure, hour, OTHER, kept))
    connection.executemany(
        "DELETE FROM count WHERE measure = ? AND hour = ? AND key = ?", [(measure, hour, key) for key, _ in folded]
    )
    connection.execute(_ADD, (measure, hour, OTHER, sum(n for _, n in folded)))
