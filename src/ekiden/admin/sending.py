"""Use cases around how much an account may send: its profile, and the recipients that it knows.

Rules
1. A profile is one of the configuration, or built in. A change ends the account's open sessions, so that none goes on
   with what it knew.
2. An import is whole or not at all: a line that is no address is named, and nothing was taken. What a running server
   took for strangers it believes for a minute longer.

Refusals as in `admin.accounts`. What is allowed is decided in `policy.limits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from ekiden.accounts import book
from ekiden.accounts.refusal import Malformed, Refused
from ekiden.admin.accounts import AccountDesk
from ekiden.config.model import Profile
from ekiden.model.account import Account
from ekiden.policy.limits import PERSON
from ekiden.ports.clock import Clock
from ekiden.ports.directory import Directory
from ekiden.ports.known_recipients import MOST_KNOWN, KnownRecipients


class Imported(NamedTuple):
    """`read`: different recipients of the file; `new`: of these, not known before; `known`: now, all together."""

    read: int
    new: int
    known: int


class Profiled(NamedTuple):
    """An account's profile. `limits`: by key, those that there are. `text`: for people."""

    name: str
    limits: dict[str, int]
    text: str


class SendingDesk:
    """`accounts`: the desk for everything else about accounts, of the same person. `profiles`: by name."""

    def __init__(
        self,
        accounts: AccountDesk,
        directory: Directory,
        known: KnownRecipients,
        clock: Clock,
        *,
        profiles: Mapping[str, Profile],
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._known = known
        self._clock = clock
        self._profiles = profiles

    async def set_profile(self, address: str, name: str) -> bool:
        """False if it had it already. Raises Refused, DirectoryConflict, DirectoryFailed."""
        account = await self._accounts.existing(address)
        if name not in self._profiles:
            raise Refused("PROFILE", f"there is no profile {name}; there are {', '.join(self._profiles)}")
        profile = "" if name == PERSON else name
        if account.profile == profile:
            return False
        await self._directory.change_account(
            msgspec.structs.replace(account, profile=profile, changed=self._clock.now())
        )
        self._accounts.tell("profile", account.name, name)
        return True

    def profile_of(self, account: Account) -> Profiled:
        name = account.profile or PERSON
        profile = self._profiles.get(name, self._profiles[PERSON])
        keys = [key for key in profile.__struct_fields__ if key != "name" and getattr(profile, key)]
        limits = {key: getattr(profile, key) for key in keys}
        told = ", ".join(f"{most:,} {key.replace('_', ' ')}" for key, most in limits.items()) or "no limit"
        gone = "" if name in self._profiles else f"{name}, which is configured no more; so as "
        return Profiled(profile.name, limits, f"{gone}{profile.name}: {told}")

    async def import_recipients(self, address: str, lines: Iterable[str]) -> Imported:
        """One address a line; empty lines and those that begin with # are passed over. Raises Refused,
        DirectoryConflict, DirectoryFailed, RecipientsFailed."""
        account = await self._accounts.existing(address)
        recipients = dict.fromkeys(_addresses(lines))
        if not recipients:
            raise Refused("FILE", "holds no address; write one a line")
        there = await self._known.count(account.name)
        new = await self._known.add(account.name, recipients)
        known = there + new
        self._accounts.tell("recipients-import", account.name, str(new))
        return Imported(len(recipients), new, known)

    async def known(self, address: str) -> int:
        """How many recipients it knows. Raises as `import_recipients`."""
        return await self._known.count((await self._accounts.existing(address)).name)

    async def forget(self, name: str) -> None:
        """The account was removed: one made anew knows nobody. Raises RecipientsFailed."""
        await self._known.forget(name)


def _addresses(lines: Iterable[str]) -> Iterable[str]:
    read = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        read += 1
        if read > MOST_KNOWN:
            raise Refused("FILE", f"holds more than {MOST_KNOWN:,} addresses, which is what an account can know")
        try:
            yield book.recipient_key(text)
        except Malformed as error:
            raise Refused("FILE", f"line {number}: {error}") from None
