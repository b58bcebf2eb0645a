"""SqliteGuardFile: what guards remember beyond counts, in `guards.db`, shared by the workers of a machine.

Rules
1. Each question is one short transaction on this object's own thread (synchronous=NORMAL: a power cut may take what
   the last seconds brought).
2. Rows are bounded: what was told more than `KEPT` ago is deleted once a day.

Contract: `ports.notice_book`; suite: tests/contract/test_notice_book.py. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.storage.sqlite.connection import open_database, transaction
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
)
DAY: Final = 86_400.0
#: How long it is remembered that something was told (seconds).
KEPT: Final = 400 * DAY

_T = TypeVar("_T")


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
            self._swept = now
