"""The tables of `directory.db`, and every SQL statement about accounts and aliases.

Rules
1. Methods run in the directory's thread; those that write run in a transaction of `storage.sqlite.directory`.
2. A contradiction raises DirectoryConflict in the words of `storage.conflicts`, as from every engine.

Called by `storage.sqlite.directory`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import apsw

from ekiden.model.account import Account, Alias, AppPassword, ScramVerifier
from ekiden.storage import conflicts
from ekiden.storage.app_passwords import in_order

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
        # The last epoch of names that were removed: it only ever grows, also for an account made anew.
        "CREATE TABLE removed_account (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE alias_target (
            name TEXT NOT NULL,
            position INTEGER NOT NULL,
            domain TEXT NOT NULL,
            target TEXT NOT NULL,
            PRIMARY KEY (name, position)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        # Lists are JSON. What was there before knows no date of its password: the latest that it can be.
        "ALTER TABLE account ADD COLUMN send_as TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE account ADD COLUMN password_changed REAL NOT NULL DEFAULT 0",
        "ALTER TABLE account ADD COLUMN password_history TEXT NOT NULL DEFAULT '[]'",
        "UPDATE account SET password_changed = changed",
        # Their last use is in a database of its own (storage.sqlite.last_use).
        """CREATE TABLE app_password (
            account TEXT NOT NULL,
            id TEXT NOT NULL,
            name TEXT NOT NULL,
            digest BLOB NOT NULL,
            stored_key BLOB NOT NULL,
            server_key BLOB NOT NULL,
            scopes TEXT NOT NULL,
            networks TEXT NOT NULL,
            created REAL NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (account, id)
        ) STRICT, WITHOUT ROWID""",
    ),
    ("ALTER TABLE account ADD COLUMN profile TEXT NOT NULL DEFAULT ''",),
    ("ALTER TABLE account ADD COLUMN quota INTEGER NOT NULL DEFAULT -1",),
)

_COLUMNS: Final = (
    "name, argon2, scram_salt, scram_iterations, scram_stored_key, scram_server_key, enabled, epoch, created, changed, "
    "send_as, password_changed, password_history, profile, quota"
)
_PLACES: Final = ", ".join("?" * (_COLUMNS.count(",") + 1))

_APP_COLUMNS: Final = "account, id, name, digest, stored_key, server_key, scopes, networks, created, expires"


class DirectoryRows:
    """Also what `storage.lookup` asks of an engine."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def is_enabled(self, name: str) -> bool | None:
        found = self._one("SELECT enabled FROM account WHERE name = ?", name)
        return None if found is None else bool(found)

    def quota(self, name: str) -> int:
        found: int = self._one("SELECT quota FROM account WHERE name = ?", name)
        return found

    def targets(self, name: str) -> tuple[str, ...]:
        rows = self._connection.execute("SELECT target FROM alias_target WHERE name = ? ORDER BY position", (name,))
        return tuple(row[0] for row in rows)

    def oldest_account(self, domain: str) -> str:
        if domain:
            return self._one("SELECT name FROM account WHERE domain = ? ORDER BY id LIMIT 1", domain) or ""
        return self._one("SELECT name FROM account ORDER BY id LIMIT 1") or ""

    def account(self, name: str) -> Account | None:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM account WHERE name = ?", (name,)).fetchall()
        return _account(rows[0], self._app_passwords("account = ?", name).get(name, ())) if rows else None

    def accounts(self, domain: str) -> list[Account]:
        where, values = ("WHERE domain = ?", (domain,)) if domain else ("", ())
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM account {where} ORDER BY name", values)
        where = "account IN (SELECT name FROM account WHERE domain = ?)" if domain else "true"
        app_passwords = self._app_passwords(where, *values)
        return [_account(row, app_passwords.get(row[0], ())) for row in rows]

    def insert(self, account: Account) -> None:
        if self.is_enabled(account.name) is not None:
            raise conflicts.account_exists(account.name)
        if self.targets(account.name):
            raise conflicts.alias_in_the_way(account.name)
        last = self._one("DELETE FROM removed_account WHERE name = ? RETURNING epoch", account.name) or 0
        self._connection.execute(
            f"INSERT INTO account ({_COLUMNS}, domain) VALUES ({_PLACES}, ?)",
            (*_values(account, max(account.epoch, last + 1)), _domain(account.name)),
        )
        for app_password in account.app_passwords:
            self._insert_app_password(account.name, app_password)

    def update(self, account: Account) -> None:
        epoch = self._one("SELECT epoch FROM account WHERE name = ?", account.name)
        if epoch is None:
            raise conflicts.no_account(account.name)
        if epoch != account.epoch:
            raise conflicts.changed_meanwhile(account.name)
        self._connection.execute(
            f"UPDATE account SET ({_COLUMNS}) = ({_PLACES}) WHERE name = ?",
            (*_values(account, epoch + 1), account.name),
        )

    def delete(self, name: str) -> None:
        epoch = self._one("DELETE FROM account WHERE name = ? RETURNING epoch", name)
        if epoch is None:
            raise conflicts.no_account(name)
        self._connection.execute("INSERT OR REPLACE INTO removed_account VALUES (?, ?)", (name, epoch))
        self._connection.execute("DELETE FROM app_password WHERE account = ?", (name,))

    def add_app_password(self, name: str, added: AppPassword) -> None:
        account = self.account(name)
        if account is None:
            raise conflicts.no_account(name)
        conflicts.check_app_password(account, added)
        self._insert_app_password(name, added)

    def remove_app_password(self, name: str, app_password: str) -> None:
        if self._one("UPDATE account SET epoch = epoch + 1 WHERE name = ? RETURNING epoch", name) is None:
            raise conflicts.no_account(name)
        # raising undoes the new epoch: it is one transaction
        which, values = (" AND id = ?", (app_password,)) if app_password else ("", ())
        self._connection.execute(f"DELETE FROM app_password WHERE account = ?{which}", (name, *values))
        if not self._connection.changes():
            raise conflicts.no_app_password(name, app_password)

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

    def _insert_app_password(self, name: str, added: AppPassword) -> None:
        keys = (added.digest, added.stored_key, added.server_key)
        limits = (json.dumps(added.scopes), json.dumps(added.networks), added.created, added.expires)
        self._connection.execute(
            f"INSERT INTO app_password ({_APP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, added.id, added.name, *keys, *limits),
        )

    def _app_passwords(self, where: str, *values: str) -> dict[str, tuple[AppPassword, ...]]:
        """By account."""
        found: dict[str, list[AppPassword]] = {}
        for account, *row in self._connection.execute(f"SELECT {_APP_COLUMNS} FROM app_password WHERE {where}", values):
            found.setdefault(account, []).append(_app_password(row))
        return {account: in_order(app_passwords) for account, app_passwords in found.items()}

    def _write_targets(self, name: str, targets: tuple[str, ...]) -> None:
        self._connection.execute("DELETE FROM alias_target WHERE name = ?", (name,))
        self._connection.executemany(
            "INSERT INTO alias_target (name, position, domain, target) VALUES (?, ?, ?, ?)",
            [(name, position, _domain(name), target) for position, target in enumerate(targets)],
        )

    def _one(self, sql: str, *values: str) -> Any:
        """The single value asked for, or None."""
        return self._connection.execute(sql, values).get


def _domain(name: str) -> str:
    return name.rpartition("@")[2]


def _account(row: Sequence[Any], app_passwords: tuple[AppPassword, ...]) -> Account:
    name, argon2, salt, iterations, stored_key, server_key, enabled, epoch, created, changed, *more = row
    send_as, password_changed, password_history, profile, quota = more
    return Account(
        name=name,
        argon2=argon2,
        scram=ScramVerifier(salt, iterations, stored_key, server_key),
        enabled=bool(enabled),
        epoch=epoch,
        created=created,
        changed=changed,
        app_passwords=app_passwords,
        send_as=tuple(json.loads(send_as)),
        password_changed=password_changed,
        password_history=tuple(json.loads(password_history)),
        profile=profile,
        quota=quota,
    )


def _app_password(row: Sequence[Any]) -> AppPassword:
    key, name, digest, stored_key, server_key, scopes, networks, created, expires = row
    allowed = tuple(json.loads(scopes)), tuple(json.loads(networks))
    return AppPassword(key, name, digest, stored_key, server_key, *allowed, created, expires)


def _values(account: Account, epoch: int) -> tuple[Any, ...]:
    s = account.scram
    head = (account.name, account.argon2, s.salt, s.iterations, s.stored_key, s.server_key)
    grants = (json.dumps(account.send_as), account.password_changed, json.dumps(account.password_history))
    much = (account.profile, account.quota)
    return (*head, int(account.enabled), epoch, account.created, account.changed, *grants, *much)
