"""SqliteKnownRecipients: whom each account has written to, in `recipients.db`, shared by the workers of a machine.

Rules
1. `learned` writes nothing by itself: a few seconds later all that wait are written in one transaction
   (synchronous=NORMAL: a power cut may take the last ones, who count as new once more). What waits is bounded.
2. What was read is believed: known ones for good, strangers for a minute. The memory is bounded.
3. A database that fails knows everybody, and what could not be written is forgotten.
4. A recipient is a 64-bit hash in a table clustered by account: some 20 octets.
5. Reading and writing happen in one thread of this object's; the loop never waits for a disk.

Contract: `ports.known_recipients`; suite: tests/contract/test_known_recipients.py. Made by `app.stores`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from ekiden.ports.clock import Clock
from ekiden.ports.known_recipients import MOST_KNOWN, RecipientsFailed
from ekiden.storage.sqlite.connection import open_database, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B4B72  # "EkKr"
STEPS: Final = (
    (
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, account TEXT NOT NULL UNIQUE, known INTEGER NOT NULL) STRICT",
        "CREATE TABLE known (owner INTEGER, recipient INTEGER, PRIMARY KEY (owner, recipient)) STRICT, WITHOUT ROWID",
    ),
)
#: How long what waits is gathered.
WRITE_SECONDS: Final = 5.0
BELIEVED_STRANGER: Final = 60.0
#: Answers in memory: some megabytes.
MEMORY: Final = 32_768
#: What may wait to be written; more is forgotten.
MOST_WAITING: Final = 100_000

T = TypeVar("T")


class SqliteKnownRecipients:
    """On one event loop. The constructor opens and, if needed, makes the database; raises DatabaseRefused.
    `most_known`: smaller in tests."""

    def __init__(self, path: Path | str, clock: Clock, *, most_known: int = MOST_KNOWN) -> None:
        self._clock = clock
        self._most_known = most_known
        self._connection = open_database(path, synchronous="NORMAL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="known-recipients")
        #: Until when (monotonic) it is a stranger; infinite for one that is known. Oldest first.
        self._believed: dict[tuple[str, str], float] = {}
        self._waiting: dict[tuple[str, str], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def peek(self, account: str, recipient: str) -> bool | None:
        until = self._believed.get((account, recipient))
        if until is None or until < self._clock.monotonic():
            return None
        return until == math.inf

    async def knows(self, account: str, recipient: str) -> bool:
        pair = (account, recipient)
        if (known := self.peek(*pair)) is not None:
            return known
        try:
            known = await self._run(lambda: self._read(account, recipient))
        except RecipientsFailed:
            return True  # rule 3
        if pair not in self._waiting:  # else it was learned while we read
            self._keep(pair, math.inf if known else self._clock.monotonic() + BELIEVED_STRANGER)
        return known

    def learned(self, account: str, recipients: Iterable[str]) -> None:
        for recipient in recipients:
            pair = (account, recipient)
            if self._believed.get(pair) == math.inf:
                continue
            self._keep(pair, math.inf)
            if len(self._waiting) < MOST_WAITING:
                self._waiting[pair] = None
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write_soon)

    async def add(self, account: str, recipients: Iterable[str]) -> int:
        found = list(recipients)
        return await self._run(lambda: self._write({account: found}))

    async def count(self, account: str) -> int:
        question = "SELECT known FROM owner WHERE account = ?"
        return await self._run(lambda: self._connection.execute(question, (account,)).get or 0)

    async def forget(self, account: str) -> None:
        await self._run(lambda: self._forget(account))
        self._believed = {pair: until for pair, until in self._believed.items() if pair[0] != account}

    def close(self) -> None:
        """Writes what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._write_soon()
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _keep(self, pair: tuple[str, str], until: float) -> None:
        self._believed.pop(pair, None)
        if len(self._believed) >= MEMORY:
            del self._believed[next(iter(self._believed))]
        self._believed[pair] = until

    def _write_soon(self) -> None:
        waiting, self._waiting, self._timer = self._waiting, {}, None
        by_account: dict[str, list[str]] = {}
        for account, recipient in waiting:
            by_account.setdefault(account, []).append(recipient)
        self._thread.submit(self._write_quietly, by_account)

    async def _run(self, work: Callable[[], T]) -> T:
        """Raises RecipientsFailed."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (apsw.Error, RuntimeError) as error:  # RuntimeError: closed meanwhile
            raise RecipientsFailed(str(error)) from error

    # --- in the thread ----------------------------------------------------------------------------------------

    def _read(self, account: str, recipient: str) -> bool:
        question = "SELECT 1 FROM known WHERE owner = (SELECT id FROM owner WHERE account = ?) AND recipient = ?"
        return self._connection.execute(question, (account, _hash(recipient))).get is not None

    def _write_quietly(self, by_account: dict[str, list[str]]) -> None:
        try:
            self._write(by_account)
        except apsw.Error:
            return  # rule 3

    def _write(self, by_account: dict[str, list[str]]) -> int:
        with transaction(self._connection):
            return sum(self._write_one(account, recipients) for account, recipients in by_account.items())

    def _write_one(self, account: str, recipients: Sequence[str]) -> int:
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO owner (account, known) VALUES (?, 0)", (account,))
        row: Any = execute("SELECT id, known FROM owner WHERE account = ?", (account,)).fetchall()[0]
        owner, known = row
        added = 0
        for recipient in recipients:
            if known + added >= self._most_known:
                break
            execute("INSERT OR IGNORE INTO known VALUES (?, ?)", (owner, _hash(recipient)))
            added += self._connection.changes()
        execute("UPDATE owner SET known = known + ? WHERE id = ?", (added, owner))
        return added

    def _forget(self, account: str) -> None:
        with transaction(self._connection):
            owner = self._connection.execute("DELETE FROM owner WHERE account = ? RETURNING id", (account,)).get
            if owner is not None:
                self._connection.execute("DELETE FROM known WHERE owner = ?", (owner,))


def _hash(recipient: str) -> int:
    digest = blake2b(recipient.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
