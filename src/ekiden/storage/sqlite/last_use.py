"""When each app password was last used, in `last-use.db` beside `directory.db`.

Rules
1. It is a file of its own because each commit to `directory.db` makes every process forget what it looked up and every
   open session ask again: a login must not cost that.
2. Losing the last notes at a power cut is agreed (synchronous=NORMAL). A store that cannot take one is no reason to
   refuse a login: `note` and `forget` then do nothing, and the list shows an older use.
3. What would hardly say more than the last note is not written (`storage.app_passwords`).

Called by `storage.sqlite.directory`, in its thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import msgspec

from ekiden.model.account import Account
from ekiden.storage.app_passwords import worth_noting
from ekiden.storage.sqlite.connection import open_database, transaction
from ekiden.storage.sqlite.migrations import migrate

APPLICATION_ID: Final = 0x456B4C75  # "EkLu"

STEPS: Final = (
    (
        """CREATE TABLE last_use (
            account TEXT NOT NULL,
            id TEXT NOT NULL,
            used REAL NOT NULL,
            client TEXT NOT NULL,
            PRIMARY KEY (account, id)
        ) STRICT, WITHOUT ROWID""",
    ),
)

#: Notes that this process remembers having made; a megabyte or two.
REMEMBER_AT_MOST: Final = 16_384

#: Lookups wait in the same thread: none shall wait longer than this for a note of another process.
BUSY_TIMEOUT_MS: Final = 200


class LastUse:
    """The constructor opens and, if needed, makes the database; raises DatabaseRefused."""

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path, synchronous="NORMAL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._noted: dict[tuple[str, str], tuple[float, str]] = {}

    def is_news(self, account: str, app_password: str, when: float, client: str) -> bool:
        """On any thread: False for a use that this process need not note."""
        used, by = self._noted.get((account, app_password), (0.0, ""))
        return worth_noting(used, by, when, client)

    def note(self, account: str, app_password: str, when: float, client: str) -> None:
        with suppress(apsw.Error), transaction(self._connection):
            question = "SELECT used, client FROM last_use WHERE account = ? AND id = ?"
            used, by = self._connection.execute(question, (account, app_password)).fetchone() or (0.0, "")
            if worth_noting(used, by, when, client):
                used, by = when, client
                row = (account, app_password, used, by)
                self._connection.execute("INSERT OR REPLACE INTO last_use VALUES (?, ?, ?, ?)", row)
            if len(self._noted) >= REMEMBER_AT_MOST:
                self._noted.clear()
            self._noted[account, app_password] = (used, by)

    def forget(self, account: str, app_password: str = "") -> None:
        """Of one app password, or of all that the account has."""
        which, values = (" AND id = ?", (app_password,)) if app_password else ("", ())
        with suppress(apsw.Error):
            self._connection.execute(f"DELETE FROM last_use WHERE account = ?{which}", (account, *values))

    def told(self, accounts: Iterable[Account]) -> list[Account]:
        """The accounts, with the last use of their app passwords."""
        return [self._with_use(account) if account.app_passwords else account for account in accounts]

    def close(self) -> None:
        self._connection.close()

    def _with_use(self, account: Account) -> Account:
        found: dict[str, tuple[float, str]] = {}
        with suppress(apsw.Error):
            rows = self._connection.execute("SELECT id, used, client FROM last_use WHERE account = ?", (account.name,))
            found = {row[0]: (row[1], row[2]) for row in rows}
        app_passwords = tuple(
            msgspec.structs.replace(there, last_used=found[there.id][0], last_client=found[there.id][1])
            if there.id in found
            else there
            for there in account.app_passwords
        )
        return msgspec.structs.replace(account, app_passwords=app_passwords)
