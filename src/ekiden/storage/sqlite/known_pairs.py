"""SqliteKnownPairs: who logged in from where in the last months, in `logins.db`, shared by the workers of a machine.

Rules
1. `succeeded` writes nothing by itself: once a day and pair a row waits, and a few seconds later all that wait are
   written in one transaction (synchronous=NORMAL: a power cut may take the last ones, who log in again).
2. What was read is believed for a minute (unknown) or an hour (known), so that a storm of guesses at one account does
   not become a storm of questions. The memory is bounded.
3. A database that fails knows nobody, and what could not be written is forgotten: logins go on.
4. The installation's secret is drawn when the file is made, and stays.
5. A pair holds an account and a network, never an address; rows past `KNOWN_DAYS` are deleted once a day.

Contract: `ports.known_pairs`; suite: tests/contract/test_known_pairs.py. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.ports.clock import Clock
from ekiden.ports.known_pairs import KNOWN_DAYS
from ekiden.storage.sqlite.connection import open_database, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B4C67  # "EkLg"
STEPS: Final = (
    (
        "CREATE TABLE installation (secret BLOB NOT NULL) STRICT",
        """CREATE TABLE known_pair (
            account TEXT NOT NULL,
            network TEXT NOT NULL,
            day INTEGER NOT NULL,
            PRIMARY KEY (account, network)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX known_pair_by_day ON known_pair (day)",
    ),
    ("CREATE INDEX known_pair_by_network ON known_pair (network, day)",),
)
SECRET_OCTETS: Final = 32
DAY: Final = 86_400
#: How long what waits is gathered.
WRITE_SECONDS: Final = 5.0
BELIEVED_KNOWN: Final = 3600.0
BELIEVED_UNKNOWN: Final = 60.0
#: Answers, and pairs noted today: a few megabytes each.
MEMORY: Final = 16_384

Pair = tuple[str, str]
_V = TypeVar("_V")


class SqliteKnownPairs:
    """On one event loop. The constructor opens and, if needed, makes the database; raises DatabaseRefused."""

    def __init__(self, path: Path | str, clock: Clock) -> None:
        self._clock = clock
        self._connection = open_database(path, synchronous="NORMAL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self.secret = self._read_secret()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="known-pairs")
        self._believed: dict[Pair, tuple[bool, float]] = {}  # until when (monotonic), oldest first
        self._noted: dict[Pair, int] = {}  # the day on which it was written last
        self._waiting: dict[Pair, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._swept = 0

    async def knows(self, account: str, network: str) -> bool:
        pair = (account, network)
        now = self._clock.monotonic()
        known, until = self._believed.get(pair, (False, 0.0))
        if now < until:
            return known
        try:
            known = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, pair, self._today())
        except (apsw.Error, RuntimeError):  # rule 3; RuntimeError: closed meanwhile
            known = False
        if pair not in self._waiting:  # else it succeeded while we read
            _keep(self._believed, pair, (known, now + (BELIEVED_KNOWN if known else BELIEVED_UNKNOWN)))
        return known

    async def knows_network(self, network: str) -> bool:
        if any(waiting == network for _, waiting in self._waiting):
            return True
        question = "SELECT 1 FROM known_pair WHERE network = ? AND day > ?"
        values = (network, self._today() - KNOWN_DAYS)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, lambda: self._connection.execute(question, values).get is not None
            )
        except (apsw.Error, RuntimeError):  # rule 3
            return False

    def succeeded(self, account: str, network: str) -> None:
        pair, today = (account, network), self._today()
        if self._noted.get(pair) == today:
            return
        _keep(self._noted, pair, today)
        _keep(self._believed, pair, (True, self._clock.monotonic() + BELIEVED_KNOWN))
        self._waiting[pair] = today
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write_soon)

    def close(self) -> None:
        """Writes what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._write_soon()
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _today(self) -> int:
        return int(self._clock.now() // DAY)

    def _write_soon(self) -> None:
        waiting, self._waiting, self._timer = self._waiting, {}, None
        self._thread.submit(self._write, waiting, self._today())

    # --- in the thread ----------------------------------------------------------------------------------------

    def _read(self, pair: Pair, today: int) -> bool:
        question = "SELECT 1 FROM known_pair WHERE account = ? AND network = ? AND day > ?"
        return self._connection.execute(question, (*pair, today - KNOWN_DAYS)).get is not None

    def _write(self, pairs: dict[Pair, int], today: int) -> None:
        try:
            with transaction(self._connection):
                self._connection.executemany(
                    "INSERT OR REPLACE INTO known_pair (account, network, day) VALUES (?, ?, ?)",
                    [(*pair, day) for pair, day in pairs.items()],
                )
                if self._swept != today:
                    self._connection.execute("DELETE FROM known_pair WHERE day <= ?", (today - KNOWN_DAYS,))
            self._swept = today
        except apsw.Error:
            return  # rule 3

    def _read_secret(self) -> bytes:
        with transaction(self._connection):
            found: bytes | None = self._connection.execute("SELECT secret FROM installation").get
            if found is None:
                found = os.urandom(SECRET_OCTETS)
                self._connection.execute("INSERT INTO installation VALUES (?)", (found,))
        return found


def _keep(memory: dict[Pair, _V], pair: Pair, value: _V) -> None:
    memory.pop(pair, None)
    if len(memory) >= MEMORY:
        del memory[next(iter(memory))]
    memory[pair] = value
