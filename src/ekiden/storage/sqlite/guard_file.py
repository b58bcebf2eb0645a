"""SqliteGuardFile: what guards remember beyond counts, in `guards.db`, shared by the workers of a machine.

Rules
1. Each question is one short transaction on this object's own thread (synchronous=NORMAL: a power cut may take what
   the last seconds brought).
2. Rows are bounded: what was not touched for `KEPT` is deleted once a day.
3. Habits are blobs (msgpack): `change` reads, changes and writes them in one transaction, on this thread.

Contract: `ports.notice_book`, `ports.habit_book`; suites: tests/contract/test_notice_book.py, test_habit_book.py. Made
by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec

from ekiden.model.habits import Habits
from ekiden.ports.habit_book import Braked, Change, HabitsFailed
from ekiden.storage.sqlite.connection import open_database, rows, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B4764  # "EkGd"
STEPS: Final = (
    (
        """CREATE TABLE notice (
            kind TEXT NOT NULL,
            about TEXT NOT NULL,
            told REAL NOT NULL,
            PRIMARY KEY (kind, about)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        # `braked`: since when, NULL: it is not
        """CREATE TABLE habit (
            account TEXT PRIMARY KEY,
            changed REAL NOT NULL,
            habits BLOB NOT NULL,
            braked REAL,
            reason TEXT NOT NULL,
            told INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX habit_braked ON habit (account) WHERE braked IS NOT NULL",
    ),
)
DAY: Final = 86_400.0
#: How long it is remembered that something was told (seconds).
KEPT: Final = 400 * DAY

_T = TypeVar("_T")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Habits).decode


class SqliteGuardFile:
    """On one event loop. The constructor opens and, if needed, makes the database; raises DatabaseRefused."""

    def __init__(self, path: Path | str) -> None:
        self._connection = open_database(path, synchronous="NORMAL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="guard-file")
        self._swept = float("-inf")

    async def take(self, kind: str, about: str, now: float, period: float) -> bool:
        try:
            return await self._run(lambda: self._take(kind, about, now, period))
        except apsw.Error:  # rule 2 of the port
            return True

    async def give_back(self, kind: str, about: str) -> None:
        try:
            await self._run(lambda: self._forget(kind, about))
        except apsw.Error:
            return  # then it is told when the period is over

    # --- habits -----------------------------------------------------------------------------------------------

    async def habits(self, account: str) -> Habits | None:
        return await self._ask(lambda: self._habits(account))

    async def change(self, changes: Mapping[str, Change], now: float) -> None:
        await self._ask(lambda: self._change(changes, now))

    async def braked(self) -> dict[str, Braked]:
        return await self._ask(self._braked)

    async def _ask(self, act: Callable[[], _T]) -> _T:
        try:
            return await self._run(act)
        except (apsw.Error, msgspec.MsgspecError) as error:
            raise HabitsFailed(f"{self._connection.filename}: {error}") from error

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.shutdown(wait=True)
        self._connection.close()

    async def _run(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    # --- in the thread ----------------------------------------------------------------------------------------

    def _take(self, kind: str, about: str, now: float, period: float) -> bool:
        with transaction(self._connection):
            self._sweep(now)
            self._connection.execute(
                """INSERT INTO notice VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET told = excluded.told
                    WHERE told <= ?3 - ?4 OR told > ?3""",
                (kind, about, now, period),
            )
            return self._connection.changes() == 1

    def _forget(self, kind: str, about: str) -> None:
        self._connection.execute("DELETE FROM notice WHERE kind = ? AND about = ?", (kind, about))

    def _sweep(self, now: float) -> None:
        if now - self._swept >= DAY:
            self._connection.execute("DELETE FROM notice WHERE told < ?", (now - KEPT,))
            self._connection.execute("DELETE FROM habit WHERE changed < ? AND braked IS NULL", (now - KEPT,))
            self._swept = now

    def _habits(self, account: str) -> Habits | None:
        found = self._connection.execute("SELECT habits FROM habit WHERE account = ?", (account,)).get
        return None if found is None else _decode(found)

    def _change(self, changes: Mapping[str, Change], now: float) -> None:
        with transaction(self._connection):
            self._sweep(now)
            for account, change in changes.items():
                habits = change(self._habits(account))
                if habits is not None:
                    row = (account, now, _encode(habits), habits.braked or None, habits.reason, habits.told)
                    self._connection.execute("INSERT OR REPLACE INTO habit VALUES (?, ?, ?, ?, ?, ?)", row)

    def _braked(self) -> dict[str, Braked]:
        question = "SELECT account, braked, reason, told FROM habit WHERE braked IS NOT NULL"
        return {row[0]: Braked(row[1], row[2], bool(row[3])) for row in rows(self._connection, question)}
