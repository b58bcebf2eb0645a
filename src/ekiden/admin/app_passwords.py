"""Use cases around app passwords, behind every face.

Rules
1. A secret leaves `add` once, for the screen of whoever asked; no event, list or store has it.
2. Adding ends no session. Revoking ends all of the account's sessions within a second: those that logged in otherwise
   come back by themselves.
3. A new main password leaves app passwords as they are; whoever fears that one was stolen revokes it, or all.

Each change leaves an event with the id and the name. Refusals as in `admin.accounts`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ekiden.accounts.app_passwords import NewAppPassword, Wish, chosen, make_app_password
from ekiden.admin.accounts import AccountDesk
from ekiden.model.account import AppPassword
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory, DirectoryConflict


class AppPasswordDesk:
    """`accounts`: the desk for everything else about accounts, of the same person."""

    def __init__(self, accounts: AccountDesk, directory: Directory, clock: Clock, random: Random) -> None:
        self._accounts = accounts
        self._directory = directory
        self._clock = clock
        self._random = random

    async def add(self, address: str, wish: Wish) -> NewAppPassword:
        """Raises Refused, DirectoryConflict, DirectoryFailed."""
        account = await self._accounts.existing(address)
        new = make_app_password(account, wish, self._random, self._clock.now())
        await self._directory.add_app_password(account.name, new.app_password)
        self._tell("app-password-add", account.name, new.app_password)
        return new

    async def list(self, address: str) -> Sequence[AppPassword]:
        """Oldest first. Raises as `add`."""
        return (await self._accounts.existing(address)).app_passwords

    async def revoke(self, address: str, id_or_name: str) -> AppPassword:
        """Raises as `add`; DirectoryConflict if there is none of that id or name."""
        account = await self._accounts.existing(address)
        found = chosen(account, id_or_name)
        if found is None:
            raise DirectoryConflict(
                f"{account.name} has no app password {id_or_name}; `ekiden account app-password list {account.name}` "
                "shows those there are"
            )
        await self._directory.remove_app_password(account.name, found.id)
        self._tell("app-password-revoke", account.name, found)
        return found

    async def revoke_all(self, address: str) -> Sequence[AppPassword]:
        """Those that there were; none is no fault. Raises as `add`."""
        account = await self._accounts.existing(address)
        if account.app_passwords:
            await self._directory.remove_app_password(account.name)
        for there in account.app_passwords:
            self._tell("app-password-revoke", account.name, there)
        return account.app_passwords

    def _tell(self, action: str, account: str, app_password: AppPassword) -> None:
        self._accounts.tell(action, account, f"{app_password.id} ({app_password.name})")
