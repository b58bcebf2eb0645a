"""SqliteDirectory: accounts and aliases in `directory.db`, shared by all processes of one machine.

Rules
1. A change is one transaction, synced before the call returns (synchronous=FULL).
2. `peek` is one dict lookup. What it answers from is filled by `find`, bounded, and thrown away as soon as anybody
   commits: `tick`, called at least four times a second by the app, reads `PRAGMA data_version` (microseconds, no I/O)
   on a connection of its own. So nothing is stale for longer than a tick, in any process (invariant 4).
3. `on_change` callbacks run at the tick that sees a change, and once more at the next: a session that was logging in
   while the change came asks again too.
4. Reading and writing happen in one thread of this object's, in the order of the calls; the loop never waits for a
   disk. An answer that was read before a change became known is given, but not remembered.
5. Nothing is loaded at start: a million accounts cost nothing until they are asked for.
6. The epoch of a name only ever grows, past its removal too: an account made anew is not the old one to its sessions.

Contract: `ports.directory`; suite: tests/contract/test_directory.py. Made by `app.stores`, after the fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from ekiden.model.account import Account, Alias, DirectoryEntry, ScramVerifier
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryFailed
from ekiden.storage import conflicts
from ekiden.storage.lookup import find_entry, postmaster_from
from ekiden.storage.sqlite.connection import open_database
from ekiden.storage.sqlite.migrations import migrate

T = TypeVar("T")

APPLICATION_ID: Final = 0x456B4469  # "EkDi"

#: Entries and accounts held in memory, each: some megabytes. Strangers choose what is looked up, so it must end.
CACHE_SIZE: Final = 16_384

STEPS: Final = (
    (
        # `id` grows, so that the lowest is the oldest account (storage.lookup: postmaster).
        """CREATE TABLE account (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            domain TEXT NOT NULL,
            argon2 TEXT NOT NULL,
            scram_salt BLOB NOT NULL,
            scram_iterations INTEGER NOT NULL,
            scram_stored_key BLOB NOT NULL,
            scram_server_key BLOB NOT NULL,
            enabled INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            created REAL NOT NULL,
            changed REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX account_of_domain ON account (domain)",
        # The last epoch of names that were removed (rule 6).
        "CREATE TABLE removed_account (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE alias_target (
            name TEXT NOT NULL,
            position INTEGER NOT NULL,
            domain TEXT NOT NULL,
            target TEXT NOT NULL,
            PRIMARY KEY (name, position)
        ) STRICT, WITHOUT ROWID""",
    ),
)

_COLUMNS: Final = (
    "name, argon2, scram_salt, scram_iterations, scram_stored_key, scram_server_key, enabled, epoch, created, changed"
)


class SqliteDirectory:
    """`postmaster`: `Config.postmaster`. `domains`: our domains in configured order.

    The constructor opens and, if needed, makes the database; raises DatabaseRefused.
    """

    def __init__(self, path: Path | str, *, postmaster: str = "", domains: Sequence[str] = ()) -> None:
        self._postmaster = postmaster_from(postmaster, domains)
        self._connection = open_database(path, synchronous="FULL")
        migrate(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._watch = open_database(path, synchronous="FULL")
        self._version = self._watch.pragma("data_version")
        self._rows = _SqliteRows(self._connection)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._generation = 0
        self._entries: dict[str, DirectoryEntry] = {}
        self._accounts: dict[str, Account | None] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._call_again = False

    def peek(self, mailbox: Mailbox) -> DirectoryEntry | None:
        return self._entries.get(mailbox.key)

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        known = self._entries.get(mailbox.key)
        if known is not None:
            return known
        generation = self._generation
        entry = await self._run(lambda: self._reading(lambda: find_entry(self._rows, mailbox, self._postmaster)))
        if generation == self._generation:
            _keep(self._entries, mailbox.key, entry)
        return entry

    async def account(self, name: str) -> Account | None:
        if name in self._accounts:
            return self._accounts[name]
        generation = self._generation
        account = await self._run(lambda: self._rows.account(name))
        if generation == self._generation:
            _keep(self._accounts, name, account)
        return account

    async def accounts(self, domain: str = "") -> list[Account]:
        return await self._run(lambda: self._rows.accounts(domain))

    async def add_account(self, account: Account) -> None:
        await self._change(lambda: self._rows.insert(account))

    async def change_account(self, account: Account) -> None:
        """Raises DirectoryConflict, too, if the stored epoch is no longer `account.epoch`: a change that was made
        meanwhile (disable) is not undone by one that did not know of it (passwd)."""
        await self._change(lambda: self._rows.update(account))

    async def remove_account(self, name: str) -> None:
        await self._change(lambda: self._rows.delete(name))

    async def aliases(self, domain: str = "") -> list[Alias]:
        return await self._run(lambda: self._rows.aliases(domain))

    async def put_alias(self, alias: Alias) -> None:
        await self._change(lambda: self._rows.put_alias(alias))

    async def remove_alias(self, name: str, target: str = "") -> None:
        await self._change(lambda: self._rows.remove_alias(name, target))

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def tick(self) -> None:
        """On the loop's thread, at least four times a second. Raises only what callbacks raise (as a group)."""
        try:
            version = self._watch.pragma("data_version")
        except apsw.Error:
            self._forget()  # whatever it is: nothing old may be answered meanwhile
            return
        changed = version != self._version
        if changed:
            self._version = version
            self._forget()
        if changed or self._call_again:
            self._call_again = changed
            self._call_all()

    def configure(self, *, postmaster: str, domains: Sequence[str]) -> None:
        """As in the constructor: a new configuration, for what is asked from now on."""
        self._postmaster = postmaster_from(postmaster, domains)
        self._forget()

    def close(self) -> None:
        """Finishes what is under way."""
        self._thread.shutdown(wait=True)
        self._connection.close()
        self._watch.close()

    def _forget(self) -> None:
        self._generation += 1
        self._entries.clear()
        self._accounts.clear()

    def _call_all(self) -> None:
        """One faulty callback must not keep a revoked session of another one alive."""
        faults: list[Exception] = []
        for callback in self._callbacks:
            try:
                callback()
            except Exception as error:  # raised below, together
                faults.append(error)
        if faults:
            raise ExceptionGroup("callbacks of a directory change", faults)

    async def _run(self, work: Callable[[], T]) -> T:
        """In the thread. Raises DirectoryFailed, and what `work` raises of its own."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except apsw.Error as error:
            raise DirectoryFailed(f"directory.db: {error}") from error

    async def _change(self, work: Callable[[], None]) -> None:
        try:
            await self._run(lambda: self._transaction("IMMEDIATE", work))
        finally:
            self._forget()

    def _reading(self, work: Callable[[], T]) -> T:
        """All of a lookup's questions see one state."""
        return self._transaction("DEFERRED", work)

    def _transaction(self, kind: str, work: Callable[[], T]) -> T:
        self._connection.execute(f"BEGIN {kind}")
        try:
            result = work()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result


class _SqliteRows:
    """The SQL. Every method runs in the directory's thread; those that write, in a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def is_enabled(self, name: str) -> bool | None:
        found = self._one("SELECT enabled FROM account WHERE name = ?", name)
        return None if found is None else bool(found)

    def targets(self, name: str) -> tuple[str, ...]:
        rows = self._connection.execute("SELECT target FROM alias_target WHERE name = ? ORDER BY position", (name,))
        return tuple(row[0] for row in rows)

    def oldest_account(self, domain: str) -> str:
        if domain:
            return self._one("SELECT name FROM account WHERE domain = ? ORDER BY id LIMIT 1", domain) or ""
        return self._one("SELECT name FROM account ORDER BY id LIMIT 1") or ""

    def account(self, name: str) -> Account | None:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM account WHERE name = ?", (name,)).fetchall()
        return _account(rows[0]) if rows else None

    def accounts(self, domain: str) -> list[Account]:
        where, values = ("WHERE domain = ?", (domain,)) if domain else ("", ())
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM account {where} ORDER BY name", values)
        return [_account(row) for row in rows]

    def insert(self, account: Account) -> None:
        if self.is_enabled(account.name) is not None:
            raise conflicts.account_exists(account.name)
        if self.targets(account.name):
            raise conflicts.alias_in_the_way(account.name)
        last = self._one("DELETE FROM removed_account WHERE name = ? RETURNING epoch", account.name) or 0
        self._connection.execute(
            f"INSERT INTO account ({_COLUMNS}, domain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_values(account, max(account.epoch, last + 1)), _domain(account.name)),
        )

    def update(self, account: Account) -> None:
        epoch = self._one("SELECT epoch FROM account WHERE name = ?", account.name)
        if epoch is None:
            raise conflicts.no_account(account.name)
        if epoch != account.epoch:
            raise conflicts.changed_meanwhile(account.name)
        self._connection.execute(
            f"UPDATE account SET ({_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE name = ?",
            (*_values(account, epoch + 1), account.name),
        )

    def delete(self, name: str) -> None:
        epoch = self._one("DELETE FROM account WHERE name = ? RETURNING epoch", name)
        if epoch is None:
            raise conflicts.no_account(name)
        self._connection.execute("INSERT OR REPLACE INTO removed_account VALUES (?, ?)", (name, epoch))

    def aliases(self, domain: str) -> list[Alias]:
        where, values = ("WHERE domain = ?", (domain,)) if domain else ("", ())
        found: dict[str, list[str]] = {}
        for name, target in self._connection.execute(
            f"SELECT name, target FROM alias_target {where} ORDER BY name, position", values
        ):
            found.setdefault(name, []).append(target)
        return [Alias(name, tuple(targets)) for name, targets in found.items()]

    def put_alias(self, alias: Alias) -> None:
        if self.is_enabled(alias.name) is not None:
            raise conflicts.account_in_the_way(alias.name)
        self._write_targets(alias.name, conflicts.added(self.targets(alias.name), alias.targets))

    def remove_alias(self, name: str, target: str) -> None:
        targets = self.targets(name)
        if not targets:
            raise conflicts.no_alias(name)
        self._write_targets(name, conflicts.removed(name, targets, target) if target else ())

    def _write_targets(self, name: str, targets: tuple[str, ...]) -> None:
        self._connection.execute("DELETE FROM alias_target WHERE name = ?", (name,))
        self._connection.executemany(
            "INSERT INTO alias_target (name, position, domain, target) VALUES (?, ?, ?, ?)",
            [(name, position, _domain(name), target) for position, target in enumerate(targets)],
        )

    def _one(self, sql: str, *values: str) -> Any:
        """The single value asked for, or None."""
        return self._connection.execute(sql, values).get


def _keep(cache: dict[str, T], key: str, value: T) -> None:
    if len(cache) >= CACHE_SIZE:
        del cache[next(iter(cache))]
    cache[key] = value


def _domain(name: str) -> str:
    return name.rpartition("@")[2]


def _account(row: Sequence[Any]) -> Account:
    name, argon2, salt, iterations, stored_key, server_key, enabled, epoch, created, changed = row
    scram = ScramVerifier(salt, iterations, stored_key, server_key)
    return Account(name, argon2, scram, bool(enabled), epoch, created, changed)


def _values(account: Account, epoch: int) -> tuple[Any, ...]:
    s = account.scram
    head = (account.name, account.argon2, s.salt, s.iterations, s.stored_key, s.server_key)
    return (*head, int(account.enabled), epoch, account.created, account.changed)
