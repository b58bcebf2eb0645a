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
from typing import Final, TypeVar

import apsw

from ekiden.model.account import Account, Alias, AppPassword, DirectoryEntry
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryFailed
from ekiden.storage.lookup import find_entry, postmaster_from
from ekiden.storage.sqlite.connection import open_database
from ekiden.storage.sqlite.directory_rows import STEPS, DirectoryRows
from ekiden.storage.sqlite.last_use import LastUse
from ekiden.storage.sqlite.migrations import migrate

T = TypeVar("T")

APPLICATION_ID: Final = 0x456B4469  # "EkDi"

#: Beside `directory.db`.
LAST_USE_FILE: Final = "last-use.db"

#: Entries and accounts held in memory, each: some megabytes. Strangers choose what is looked up, so it must end.
CACHE_SIZE: Final = 16_384


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
        self._rows = DirectoryRows(self._connection)
        self._last_use = LastUse(Path(path).with_name(LAST_USE_FILE))
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
        account = await self._run(lambda: self._reading(lambda: self._account(name)))
        if generation == self._generation:
            _keep(self._accounts, name, account)
        return account

    async def accounts(self, domain: str = "") -> list[Account]:
        return await self._run(lambda: self._reading(lambda: self._last_use.told(self._rows.accounts(domain))))

    async def add_account(self, account: Account) -> None:
        await self._change(lambda: self._rows.insert(account))

    async def change_account(self, account: Account) -> None:
        """Raises DirectoryConflict, too, if the stored epoch is no longer `account.epoch`: a change that was made
        meanwhile (disable) is not undone by one that did not know of it (passwd)."""
        await self._change(lambda: self._rows.update(account))

    async def remove_account(self, name: str) -> None:
        await self._change(lambda: self._rows.delete(name))
        await self._run(lambda: self._last_use.forget(name))

    async def add_app_password(self, account: str, added: AppPassword) -> None:
        await self._change(lambda: self._rows.add_app_password(account, added))

    async def remove_app_password(self, account: str, app_password: str = "") -> None:
        await self._change(lambda: self._rows.remove_app_password(account, app_password))
        await self._run(lambda: self._last_use.forget(account, app_password))

    async def app_password_used(self, account: str, app_password: str, when: float, client: str) -> None:
        if self._last_use.is_news(account, app_password, when, client):
            await self._run(lambda: self._last_use.note(account, app_password, when, client))

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
        self._last_use.close()

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

    def _account(self, name: str) -> Account | None:
        account = self._rows.account(name)
        return None if account is None else self._last_use.told([account])[0]

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


def _keep(cache: dict[str, T], key: str, value: T) -> None:
    if len(cache) >= CACHE_SIZE:
        del cache[next(iter(cache))]
    cache[key] = value
