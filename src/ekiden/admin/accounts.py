"""Use cases around accounts and aliases, behind every face (CLI, later the console).

Each change is durable when its method returns and leaves an event that says who made it. Refusals come as
`accounts.refusal.Refused` (the argument) or `ports.directory.DirectoryConflict` (what is stored contradicts); then
nothing was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ekiden.accounts import book
from ekiden.accounts.password_policy import PasswordPolicy
from ekiden.accounts.refusal import Refused
from ekiden.model.account import Account, Alias, Standing
from ekiden.model.events import AccountChanged
from ekiden.model.mailbox import address_key, domain_key
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory, DirectoryConflict
from ekiden.ports.events import EventSink
from ekiden.ports.passwords import PasswordHasher


class DomainSummary(NamedTuple):
    """A domain of ours: its key, how its recipients are known, and how many of them we hold."""

    name: str
    recipients: str
    accounts: int
    aliases: int


class AccountDesk:
    """`domains`: ours, as (name, recipients) in configured order. `by`: who acts, for events."""

    def __init__(
        self,
        directory: Directory,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        clock: Clock,
        random: Random,
        sink: EventSink,
        *,
        domains: Sequence[tuple[str, str]],
        by: str,
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._policy = policy
        self._clock = clock
        self._random = random
        self._sink = sink
        self._domains = domains
        self._names = [name for name, _ in domains]
        self._by = by

    async def free_name(self, address: str) -> str:
        """The name a new account of `address` would have; before anybody is asked for a password. Raises Refused,
        DirectoryConflict, DirectoryFailed."""
        name = book.account_name(address, self._names)
        if await self._directory.account(name) is not None:
            raise DirectoryConflict(f"there is already an account {name}; `ekiden account passwd` changes its password")
        return name

    async def existing(self, address: str) -> Account:
        """The account of `address`, also at a domain that is no longer configured. Raises Refused,
        DirectoryConflict, DirectoryFailed."""
        domain = address.rpartition("@")[2]
        name = book.account_name(address, [*self._names, domain])
        account = await self._directory.account(name)
        if account is None:
            raise DirectoryConflict(f"there is no account {name}; `ekiden account list` shows those there are")
        return account

    async def add(self, address: str, password: str) -> Account:
        """Raises Refused, DirectoryConflict, DirectoryFailed, HasherBusy, BreachedFailed."""
        name = await self.free_name(address)
        await self._policy.check(password, name)
        account = await book.make_account(name, password, self._hasher, self._random, self._clock.now())
        await self._directory.add_account(account)
        self.tell("add", name)
        return account

    async def passwd(self, address: str, password: str) -> Account:
        """Open sessions of the account end. Raises as `add`."""
        account = await self.existing(address)
        await self._policy.check(password, account.name, account)
        history = self._policy.history_of(account)
        account = await book.with_password(account, password, self._hasher, self._clock.now(), history=history)
        await self._directory.change_account(account)
        self.tell("passwd", account.name)
        return account

    async def disable(self, address: str) -> bool:
        """No login any more, open sessions end; mail still arrives. False if it already was. Raises as `existing`."""
        return await self._set_enabled(address, enabled=False)

    async def enable(self, address: str) -> bool:
        """False if it already was. Raises as `existing`."""
        return await self._set_enabled(address, enabled=True)

    async def remove(self, address: str) -> list[Alias]:
        """The aliases that still lead to it. Its mailbox stays on disk. Raises as `existing`."""
        account = await self.existing(address)
        await self._directory.remove_account(account.name)
        self.tell("remove", account.name)
        return await self.aliases_to(account)

    async def aliases_to(self, account: Account) -> list[Alias]:
        """Those that lead to it directly. Reads all aliases. Raises DirectoryFailed."""
        return [alias for alias in await self._directory.aliases() if _leads_to(alias, account.name)]

    def password_until(self, account: Account) -> float:
        """When its password is over ([passwords] max_age_days), in seconds since 1970; 0 for never."""
        return self._policy.until(account)

    async def accounts(self, domain: str = "") -> list[Account]:
        """Of one domain or of all. Raises DirectoryFailed."""
        return await self._directory.accounts(domain_key(domain))

    async def add_alias(self, address: str, targets: Sequence[str]) -> Alias:
        """Adds an alias, or targets to one. Raises Refused, DirectoryConflict, DirectoryFailed."""
        name = book.alias_name(address, self._names)
        mailboxes = [book.alias_target(target, name) for target in targets]
        ours = {domain_key(domain) for domain, recipients in self._domains if recipients == "accounts"}
        for mailbox in mailboxes:
            if mailbox.domain_key in ours and (await self._directory.find(mailbox)).standing is Standing.UNKNOWN:
                raise Refused("TARGET", f"{mailbox} is neither an account nor an alias here; add it first")
        await self._directory.put_alias(Alias(name, tuple(str(mailbox) for mailbox in mailboxes)))
        self.tell("alias-add", name)
        there = await self._directory.aliases(name.rpartition("@")[2])
        return next(alias for alias in there if alias.name == name)

    async def remove_alias(self, address: str, target: str = "") -> None:
        """The whole alias, or one target of it. Raises Refused, DirectoryConflict, DirectoryFailed."""
        name = book.alias_name(address, [*self._names, address.rpartition("@")[2]])
        await self._directory.remove_alias(name, target)
        self.tell("alias-remove", name)

    async def aliases(self, domain: str = "") -> list[Alias]:
        """Raises DirectoryFailed."""
        return await self._directory.aliases(domain_key(domain))

    async def domain_summaries(self) -> list[DomainSummary]:
        """Raises DirectoryFailed."""
        return [
            DomainSummary(
                name,
                recipients,
                len(await self._directory.accounts(domain_key(name))),
                len(await self._directory.aliases(domain_key(name))),
            )
            for name, recipients in self._domains
        ]

    async def _set_enabled(self, address: str, *, enabled: bool) -> bool:
        account = await self.existing(address)
        if account.enabled is enabled:
            return False
        await self._directory.change_account(
            msgspec.structs.replace(account, enabled=enabled, changed=self._clock.now())
        )
        self.tell("enable" if enabled else "disable", account.name)
        return True

    def tell(self, action: str, account: str, what: str = "") -> None:
        """For the desks beside this one."""
        self._sink.emit(AccountChanged(action=action, account=account, by=self._by, what=what))


def _leads_to(alias: Alias, name: str) -> bool:
    return any(address_key(target) == name for target in alias.targets)
