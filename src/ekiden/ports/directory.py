"""Directory: accounts, aliases, and who exists in our domains.

Contract
1. `peek` answers at once from memory, or None if it would have to ask the store; `find` asks. A result may be stale by
   at most one second after a committed change, in every process (invariant 4).
2. Lookup order of `find`: exact alias, exact account, account without `+tag`, alias without tag, then the catch-all
   alias `@domain`.
   `postmaster@` any of our domains falls back to the configured postmaster account if neither account nor alias
   exists; if none is configured, after the catch-all to the oldest account (of that domain, else of all).
3. Which domains are ours is configuration, not directory: the caller has checked it.
4. Changes are durable when the call returns. Raise `DirectoryConflict` with a sentence for people.
5. No name is both account and alias. The epoch of a name only grows, also when an account is removed and made anew; an
   account made anew has nothing of the old one, neither app passwords nor grants.
6. App passwords have verbs of their own, because adding one takes nothing away: no open session ends, the epoch stays,
   and two people who add one at the same time both succeed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ekiden.model.account import Account, Alias, AppPassword, DirectoryEntry
from ekiden.model.mailbox import Mailbox


class DirectoryConflict(Exception):
    """The change contradicts what is there (exists already, does not exist); `str()` says what and what to do."""


class DirectoryFailed(Exception):
    """The store could not answer: temporary, 451."""


class Directory(Protocol):
    def peek(self, mailbox: Mailbox) -> DirectoryEntry | None: ...

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        """Raises DirectoryFailed."""

    async def account(self, name: str) -> Account | None:
        """By name (mailbox key form). Raises DirectoryFailed."""

    async def accounts(self, domain: str = "") -> list[Account]:
        """Sorted by name; of one domain if named."""

    async def add_account(self, account: Account) -> None: ...

    async def change_account(self, account: Account) -> None:
        """Replaces the account of that name and makes its epoch one more than the stored one. `account.epoch` must
        be the stored one: a change that did not know of another is a DirectoryConflict. App passwords stay as they
        are stored, whatever `account` says."""

    async def remove_account(self, name: str) -> None:
        """Its mailbox content stays on disk; new letters to it are refused, queued ones reported."""

    async def add_app_password(self, account: str, added: AppPassword) -> None:
        """The epoch stays. DirectoryConflict for an id or a name (in any letter case) that the account has already,
        and for one more than MAX_APP_PASSWORDS."""

    async def remove_app_password(self, account: str, app_password: str = "") -> None:
        """By id; '' means all. The epoch grows: open sessions end."""

    async def app_password_used(self, account: str, app_password: str, when: float, client: str) -> None:
        """Notes the last use, coarsely: for one client not more than once an hour, and never twice a minute. Makes no
        new epoch and calls nobody back. Never raises: no login fails because it could not be noted, and a note may be
        lost at a power cut."""

    async def aliases(self, domain: str = "") -> list[Alias]: ...

    async def put_alias(self, alias: Alias) -> None:
        """Adds, or adds targets to what exists."""

    async def remove_alias(self, name: str, target: str = "") -> None:
        """The whole alias, or one target of it."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback` runs on the loop within a second of any change to accounts, made by whichever process.

        It may run once more soon after, for who was logging in while the change came."""
