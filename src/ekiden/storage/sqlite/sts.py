"""SqliteStsMemory: the MTA-STS policies we know, in `sts.db`, shared by the workers of a machine.

Rules
1. One row a domain; `MOST` of them, then those go that were fetched longest ago.
2. synchronous=NORMAL: a power cut may take the last ones, which are fetched again.
3. A database that fails knows nothing, and letters go on as for domains without a policy.

Contract: `ports.sts.StsMemory`. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.ports.sts import StsEntry
from ekiden.storage.sqlite.connection import open_database, rows
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B5374  # "EkSt"
STEPS: Final = (
    (
        """CREATE TABLE sts (domain TEXT PRIMARY KEY, id TEXT NOT NULL, policy BLOB NOT NULL,
            fetched REAL NOT NULL) STRICT, WITHOUT ROWID""",
        "CREATE INDEX sts_by_age ON sts (fetched)",
    ),
)
MOST: Final = 50_000

T = TypeVar("T")


class SqliteStsMemory:
    """On one event loop. The constructor opens and, if needed, makes the database; raises DatabaseRefused."""

    def __init__(self, path: Path | str, *, most: int = MOST) -> None:
        self._connection = open_database(path, synchronous="NORMAL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._most = most
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sts")

    async def find(self, domain: str) -> StsEntry | None:
        found = await self._do(lambda: self._find(domain))
        return StsEntry(*found) if found else None

    async def put(self, domain: str, entry: StsEntry) -> None:
        await self._do(lambda: self._put(domain, entry))

    async def forget(self, domain: str) -> None:
        await self._do(lambda: self._connection.execute("DELETE FROM sts WHERE domain = ?", (domain,)))

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _find(self, domain: str) -> tuple[str, bytes, float] | None:
        found = rows(self._connection, "SELECT id, policy, fetched FROM sts WHERE domain = ?", (domain,))
        return found[0] if found else None

    def _put(self, domain: str, entry: StsEntry) -> None:
        values = (domain, entry.id, entry.policy, entry.fetched)
        self._connection.execute("INSERT OR REPLACE INTO sts VALUES (?, ?, ?, ?)", values)
        self._connection.execute(
            """DELETE FROM sts WHERE domain IN (
                SELECT domain FROM sts ORDER BY fetched LIMIT max(0, (SELECT count(*) FROM sts) - ?))""",
            (self._most,),
        )

    async def _do(self, work: Callable[[], T]) -> T | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (apsw.Error, RuntimeError):  # rule 3; RuntimeError: closed meanwhile
            return None
