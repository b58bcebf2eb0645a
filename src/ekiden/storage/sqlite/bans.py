"""SqliteBans: networks that may not log in, in `bans.db`, shared by all processes of one machine.

Rules
1. A change is one transaction, synced before the call returns (synchronous=FULL), made in a thread.
2. Each `put` gets the next number; `news` looks at `PRAGMA data_version` (microseconds, no I/O) on a connection of its
   own and, when somebody has committed, reads only the rows with higher numbers.

Contract: `ports.bans`; suite: tests/contract/test_bans.py. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.ports.bans import KEPT_SECONDS, MOST, Ban, BansFailed
from ekiden.storage.sqlite.connection import open_database, rows, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B4261  # "EkBa"
STEPS: Final = (
    (
        """CREATE TABLE ban (network TEXT PRIMARY KEY, number INTEGER NOT NULL, since REAL NOT NULL, until REAL,
            by TEXT NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL, kept REAL) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX ban_by_number ON ban (number)",
        "CREATE INDEX ban_by_end ON ban (kept) WHERE kept IS NOT NULL",
    ),
)
_COLUMNS: Final = "network, since, until, by, reason, times"

T = TypeVar("T")


class SqliteBans:
    """On one event loop. The constructor opens and, if needed, makes the database; raises DatabaseRefused."""

    def __init__(self, path: Path | str, *, most: int = MOST) -> None:
        self._most = most
        self._connection = open_database(path, synchronous="FULL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._watch = open_database(path, synchronous="FULL")
        self._version: object = None
        self._number = -1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bans")

    async def put(self, ban: Ban) -> None:
        await self._do(lambda: self._put(ban))

    async def find(self, network: str) -> Ban | None:
        question = f"SELECT {_COLUMNS} FROM ban WHERE network = ?"
        found = await self._do(lambda: rows(self._connection, question, (network,)))
        return Ban(*found[0]) if found else None

    async def all(self) -> Sequence[Ban]:
        found = await self._do(lambda: rows(self._connection, f"SELECT {_COLUMNS} FROM ban ORDER BY network"))
        return [Ban(*row) for row in found]

    def news(self) -> Sequence[Ban]:
        try:
            version = self._watch.pragma("data_version")
            if version == self._version:
                return ()
            question = f"SELECT {_COLUMNS}, number FROM ban WHERE number > ? ORDER BY number"
            found = rows(self._watch, question, (self._number,))
        except apsw.Error as error:
            raise BansFailed(f"bans.db: {error}") from error
        self._version = version
        if found:
            self._number = found[-1][-1]
        return [Ban(*row[:-1]) for row in found]

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._connection.close()
        self._watch.close()

    def _put(self, ban: Ban) -> None:
        kept = None if ban.until is None else max(ban.since, ban.until)
        with transaction(self._connection):
            self._connection.execute(
                """INSERT OR REPLACE INTO ban (network, number, since, until, by, reason, times, kept)
                    VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM ban), ?2, ?3, ?4, ?5, ?6, ?7)""",
                (*ban, kept),
            )
            # the row with the highest number stays: the next one must be higher than what anybody has seen
            self._connection.execute(
                "DELETE FROM ban WHERE kept < ?1 AND network != ?2", (ban.since - KEPT_SECONDS, ban.network)
            )
            self._connection.execute(
                """DELETE FROM ban WHERE network IN (
                    SELECT network FROM ban WHERE kept IS NOT NULL AND network != ?2
                    ORDER BY kept LIMIT max(0, (SELECT count(*) FROM ban) - ?1))""",
                (self._most, ban.network),
            )

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except apsw.Error as error:
            raise BansFailed(f"bans.db: {error}") from error
        except RuntimeError as error:  # closed meanwhile
            raise BansFailed("bans.db is closed") from error
