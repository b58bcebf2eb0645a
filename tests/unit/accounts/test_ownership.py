"""The fact 'owner', asked of a directory."""

from __future__ import annotations

import pytest

from ekiden.accounts.ownership import find_owner, peek_owner
from ekiden.model.account import Account, Alias, DirectoryEntry, ScramVerifier
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryFailed
from ekiden.storage.memory.directory import MemoryDirectory

ALICE = "alice@ours.test"
OURS = {"ours.test"}
NO_SCRAM = ScramVerifier(b"", 0, b"", b"")


class ColdDirectory(MemoryDirectory):
    """Knows nothing by heart until it was asked, as an engine with a store does. `asked`: what was."""

    def __init__(self) -> None:
        super().__init__(domains=["ours.test"])
        self.asked: list[str] = []
        self.down = False

    def peek(self, mailbox: Mailbox) -> DirectoryEntry | None:
        return super().peek(mailbox) if mailbox.key in self.asked else None

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        if self.down:
            raise DirectoryFailed("no disk")
        self.asked.append(mailbox.key)
        return await super().find(mailbox)


@pytest.fixture
async def directory() -> ColdDirectory:
    directory = ColdDirectory()
    await directory.add_account(Account(ALICE, "", NO_SCRAM))
    await directory.add_account(Account("bob@ours.test", "", NO_SCRAM))
    await directory.put_alias(Alias("info@ours.test", ("desk@ours.test", "bob@ours.test")))
    await directory.put_alias(Alias("desk@ours.test", (ALICE,)))
    return directory


@pytest.mark.parametrize(
    ("address", "owned"),
    [
        ("alice+x@ours.test", True),
        ("info@ours.test", True),
        ("postmaster@ours.test", True),  # the oldest account's
        ("bob@ours.test", False),
        ("nobody@ours.test", False),
        ("alice@far.test", False),
    ],
)
async def test_it_is_asked_then_known(directory: ColdDirectory, address: str, owned: bool) -> None:
    local_part, _, domain = address.partition("@")
    mailbox = Mailbox(local_part, domain)
    if domain == "ours.test":
        assert peek_owner(directory, ALICE, mailbox, OURS) is None
    assert await find_owner(directory, ALICE, mailbox, OURS) is owned
    assert peek_owner(directory, ALICE, mailbox, OURS) is owned


async def test_the_catch_all_is_whose_it_leads_to(directory: ColdDirectory) -> None:
    await directory.put_alias(Alias("@ours.test", (ALICE,)))
    assert await find_owner(directory, ALICE, Mailbox("anything", "ours.test"), OURS)
    assert not await find_owner(directory, ALICE, Mailbox("bob", "ours.test"), OURS)


async def test_of_foreign_domains_nothing_is_asked(directory: ColdDirectory) -> None:
    assert not await find_owner(directory, ALICE, Mailbox("alice", "far.test"), OURS)
    assert directory.asked == []


async def test_a_store_that_is_down_says_so(directory: ColdDirectory) -> None:
    directory.down = True
    with pytest.raises(DirectoryFailed):
        await find_owner(directory, ALICE, Mailbox("info", "ours.test"), OURS)
