"""Use cases around quotas: what a mailbox may hold, and what it holds.

Refusals as in `admin.accounts`. What counts is decided in `policy.quota`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ekiden.accounts.refusal import Refused
from ekiden.admin.accounts import AccountDesk
from ekiden.config.model import Domain
from ekiden.model.account import Account
from ekiden.model.mailbox import domain_key
from ekiden.policy.quota import AS_DOMAIN, mailbox_quota, render_octets
from ekiden.ports.clock import Clock
from ekiden.ports.directory import Directory
from ekiden.ports.usage import MailboxUsage


class Held(NamedTuple):
    """What a mailbox holds. `quota`: 0 is none. `text`: for people."""

    octets: int
    messages: int
    quota: int
    text: str


class QuotaDesk:
    """`accounts`: the desk for everything else about accounts, of the same person."""

    def __init__(
        self,
        accounts: AccountDesk,
        directory: Directory,
        usage: MailboxUsage,
        clock: Clock,
        *,
        domains: Iterable[Domain],
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._usage = usage
        self._clock = clock
        self._domains = {domain_key(domain.name): domain for domain in domains}

    async def set(self, address: str, octets: int) -> bool:
        """`octets`: 0 is no limit, AS_DOMAIN takes an own quota back. False if it was so. Raises Refused,
        DirectoryConflict, DirectoryFailed."""
        if octets < AS_DOMAIN:
            raise Refused("QUOTA", "must be a size, none or default")
        account = await self._accounts.existing(address)
        if account.quota == octets:
            return False
        await self._directory.change_account(msgspec.structs.replace(account, quota=octets, changed=self._clock.now()))
        self._accounts.tell("quota", account.name, "default" if octets == AS_DOMAIN else str(octets))
        return True

    async def held(self, account: Account, *, recount: bool = False) -> Held:
        """Raises MailboxFailed."""
        usage = await (self._usage.recount(account.name) if recount else self._usage.find(account.name))
        quota = mailbox_quota(account.quota, self._domains.get(account.name.rpartition("@")[2]))
        text = f"{render_octets(usage.octets)} in {usage.messages:,} letter{'' if usage.messages == 1 else 's'}"
        if quota:
            text += f", {usage.octets * 100 // quota} % of {render_octets(quota)}"
        return Held(usage.octets, usage.messages, quota, text)

    async def recount(self, address: str) -> Held:
        """Looks through the mailbox. Raises as `set`, and MailboxFailed."""
        return await self.held(await self._accounts.existing(address), recount=True)
