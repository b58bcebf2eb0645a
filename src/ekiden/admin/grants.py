"""Use cases around `send_as`: addresses that the postmaster lets an account send as, beside its own.

Rules
1. A grant is the postmaster's word: any address, here or elsewhere, or `@domain` for a whole domain. What an account
   owns anyway (its aliases) needs none; a grant of it is kept all the same, for the alias may go.
2. A change ends the account's open sessions, so that none goes on with what it knew.

Refusals as in `admin.accounts`. What a grant allows is decided in `policy.ownership`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ekiden.accounts import book
from ekiden.accounts.refusal import Refused
from ekiden.admin.accounts import AccountDesk
from ekiden.model.account import Account
from ekiden.ports.clock import Clock
from ekiden.ports.directory import Directory, DirectoryConflict

#: Each is compared with every sender of the account; who needs more grants a domain.
MAX_GRANTS: Final = 1000


class GrantDesk:
    """`accounts`: the desk for everything else about accounts, of the same person."""

    def __init__(self, accounts: AccountDesk, directory: Directory, clock: Clock) -> None:
        self._accounts = accounts
        self._directory = directory
        self._clock = clock

    async def add(self, address: str, other: str) -> bool:
        """False if it was granted already. Raises Refused, DirectoryConflict, DirectoryFailed."""
        account = await self._accounts.existing(address)
        granted = book.sender_name(other)
        if granted == account.name:
            raise Refused("OTHER", f"{other} is the account's own address; it may send as that anyway")
        if granted in account.send_as:
            return False
        if len(account.send_as) >= MAX_GRANTS:
            raise Refused("OTHER", f"{account.name} has {MAX_GRANTS} grants already; grant it a domain instead")
        await self._put(account, (*account.send_as, granted))
        self._accounts.tell("send-as-add", account.name, granted)
        return True

    async def remove(self, address: str, other: str) -> None:
        """DirectoryConflict if it was not granted. Raises as `add`."""
        account = await self._accounts.existing(address)
        granted = book.sender_name(other)
        if granted not in account.send_as:
            raise DirectoryConflict(
                f"{account.name} was not granted {granted}; `ekiden account send-as list {account.name}` shows what was"
            )
        await self._put(account, tuple(there for there in account.send_as if there != granted))
        self._accounts.tell("send-as-remove", account.name, granted)

    async def list(self, address: str) -> Sequence[str]:
        """In the order of granting. Raises as `add`."""
        return (await self._accounts.existing(address)).send_as

    async def _put(self, account: Account, send_as: tuple[str, ...]) -> None:
        await self._directory.change_account(
            msgspec.structs.replace(account, send_as=send_as, changed=self._clock.now())
        )
