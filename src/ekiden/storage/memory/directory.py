"""MemoryDirectory: the Directory engine that forgets, for tests and the demo's first breath. One process only.

Contract: `ports.directory`; suite: tests/contract/test_directory.py, as for SQLite. Callbacks of
`on_change` run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ekiden.model.account import Account, Alias, AppPassword, DirectoryEntry
from ekiden.model.mailbox import Mailbox
from ekiden.storage import conflicts
from ekiden.storage.app_passwords import in_order, worth_noting
from ekiden.storage.lookup import find_entry, postmaster_from


class MemoryDirectory:
    """`postmaster`: `Config.postmaster`. `domains`: our domains in configured order."""

    def __init__(self, *, postmaster: str = "", domains: Sequence[str] = ()) -> None:
        self._postmaster = postmaster_from(postmaster, domains)
        self._accounts: dict[str, Account] = {}  # in order of adding: the first of a domain is its oldest
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._epochs: dict[str, int] = {}  # of removed accounts: a name that comes back is another account
        self._callbacks: list[Callable[[], None]] = []

    # Rows of storage.lookup

    def is_enabled(self, name: str) -> bool | None:
        account = self._accounts.get(name)
        return account.enabled if account else None

    def quota(self, name: str) -> int:
        return self._accounts[name].quota

    def targets(self, name: str) -> tuple[str, ...]:
        return self._aliases.get(name, ())

    def oldest_account(self, domain: str) -> str:
        ending = f"@{domain}" if domain else ""
        return next((name for name in self._accounts if name.endswith(ending)), "")

    # Directory of ports.directory

    def peek(self, mailbox: Mailbox) -> DirectoryEntry | None:
        return find_entry(self, mailbox, self._postmaster)

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        return find_entry(self, mailbox, self._postmaster)

    async def account(self, name: str) -> Account | None:
        return self._accounts.get(name)

    async def accounts(self, domain: str = "") -> list[Account]:
        return [self._accounts[name] for name in sorted(self._accounts) if _in_domain(name, domain)]

    async def add_account(self, account: Account) -> None:
        if account.name in self._accounts:
            raise conflicts.account_exists(account.name)
        if account.name in self._aliases:
            raise conflicts.alias_in_the_way(account.name)
        epoch = max(account.epoch, self._epochs.pop(account.name, 0) + 1)
        self._accounts[account.name] = msgspec.structs.replace(account, epoch=epoch)
        self._changed()

    async def change_account(self, account: Account) -> None:
        stored = self._stored(account.name)
        if stored.epoch != account.epoch:
            raise conflicts.changed_meanwhile(account.name)
        self._replace(account, epoch=stored.epoch + 1, app_passwords=stored.app_passwords)
        self._changed()

    async def remove_account(self, name: str) -> None:
        stored = self._accounts.pop(name, None)
        if stored is None:
            raise conflicts.no_account(name)
        self._epochs[name] = stored.epoch
        self._changed()

    async def add_app_password(self, account: str, added: AppPassword) -> None:
        stored = self._stored(account)
        conflicts.check_app_password(stored, added)
        self._replace(stored, app_passwords=in_order((*stored.app_passwords, added)))
        self._changed()

    async def remove_app_password(self, account: str, app_password: str = "") -> None:
        stored = self._stored(account)
        left = tuple(there for there in stored.app_passwords if app_password and there.id != app_password)
        if len(left) == len(stored.app_passwords):
            raise conflicts.no_app_password(account, app_password)
        self._replace(stored, app_passwords=left, epoch=stored.epoch + 1)
        self._changed()

    async def app_password_used(self, account: str, app_password: str, when: float, client: str) -> None:
        stored = self._accounts.get(account)
        if stored is None:
            return
        used = tuple(
            msgspec.structs.replace(there, last_used=when, last_client=client)
            if there.id == app_password and worth_noting(there.last_used, there.last_client, when, client)
            else there
            for there in stored.app_passwords
        )
        self._replace(stored, app_passwords=used)

    async def aliases(self, domain: str = "") -> list[Alias]:
        return [Alias(name, self._aliases[name]) for name in sorted(self._aliases) if _in_domain(name, domain)]

    async def put_alias(self, alias: Alias) -> None:
        if alias.name in self._accounts:
            raise conflicts.account_in_the_way(alias.name)
        self._aliases[alias.name] = conflicts.added(self._aliases.get(alias.name, ()), alias.targets)
        self._changed()

    async def remove_alias(self, name: str, target: str = "") -> None:
        targets = self._aliases.get(name)
        if targets is None:
            raise conflicts.no_alias(name)
        left = conflicts.removed(name, targets, target) if target else ()
        if left:
            self._aliases[name] = left
        else:
            del self._aliases[name]
        self._changed()

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    # What the app calls on every engine

    def tick(self) -> None:
        """Nothing to look for: there is no other process."""

    def configure(self, *, postmaster: str, domains: Sequence[str]) -> None:
        self._postmaster = postmaster_from(postmaster, domains)

    def close(self) -> None:
        """Nothing to close."""

    def _stored(self, name: str) -> Account:
        stored = self._accounts.get(name)
        if stored is None:
            raise conflicts.no_account(name)
        return stored

    def _replace(self, account: Account, **changes: object) -> None:
        self._accounts[account.name] = msgspec.structs.replace(account, **changes)

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()


def _in_domain(name: str, domain: str) -> bool:
    return not domain or name.endswith(f"@{domain}")
