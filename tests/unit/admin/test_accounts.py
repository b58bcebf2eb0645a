"""Use cases around accounts: what changes, who is told, and what is refused with nothing changed."""

from __future__ import annotations

import pytest

from ekiden.accounts.password_policy import PasswordPolicy
from ekiden.accounts.refusal import Refused
from ekiden.admin.accounts import AccountDesk, DomainSummary
from ekiden.config.model import Passwords
from ekiden.model.account import Alias
from ekiden.model.events import AccountChanged
from ekiden.ports.directory import DirectoryConflict
from ekiden.storage.memory.directory import MemoryDirectory
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.passwords import FakeHasher

PASSWORD = "correct horse battery"
DOMAINS = [("example.test", "accounts"), ("routed.test", "callahead")]


class Desk:
    def __init__(self):
        self.directory, self.sink, self.clock = MemoryDirectory(), CollectingSink(), FakeClock()
        self.use = self.at(DOMAINS)

    def at(self, domains):
        hasher = FakeHasher()
        policy = PasswordPolicy(Passwords(), hasher, server_name="mail.example.test")
        parts = (self.directory, hasher, policy, self.clock, FakeRandom(), self.sink)
        return AccountDesk(*parts, domains=domains, by="root")

    @property
    def told(self):
        return [(event.action, event.account, event.by) for event in self.sink.of(AccountChanged)]


async def test_the_life_of_an_account():
    desk = Desk()
    added = await desk.use.add("You@example.test", PASSWORD)
    assert added.name == "you@example.test"
    desk.clock.advance(10)
    await desk.use.passwd("you@EXAMPLE.test", "quick fox 9 hedges")
    assert await desk.use.disable("you@example.test")
    assert not await desk.use.disable("you@example.test")
    assert await desk.use.enable("you@example.test")
    assert not await desk.use.enable("you@example.test")
    (stored,) = await desk.use.accounts()
    assert (stored.argon2, stored.enabled, stored.changed - stored.created) == ("$fake$quick fox 9 hedges", True, 10.0)
    assert await desk.use.remove("you@example.test") == []
    assert await desk.use.accounts() == []
    actions = ["add", "passwd", "disable", "enable", "remove"]
    assert desk.told == [(action, "you@example.test", "root") for action in actions]


async def test_refusals_change_nothing_and_tell_nobody():
    desk = Desk()
    await desk.use.add("you@example.test", PASSWORD)
    before, told = await desk.use.accounts(), desk.told
    for call, error in (
        (desk.use.add("you@example.test", PASSWORD), DirectoryConflict),
        (desk.use.add("you@far.test", PASSWORD), Refused),
        (desk.use.add("bob@example.test", "short"), Refused),
        (desk.use.passwd("you@example.test", "short"), Refused),
        (desk.use.passwd("bob@example.test", PASSWORD), DirectoryConflict),
        (desk.use.disable("bob@example.test"), DirectoryConflict),
        (desk.use.remove("bob@example.test"), DirectoryConflict),
        (desk.use.add_alias("you@example.test", ["a@far.test"]), DirectoryConflict),
        (desk.use.add_alias("info@example.test", ["nobody@example.test"]), Refused),
        (desk.use.remove_alias("info@example.test"), DirectoryConflict),
    ):
        with pytest.raises(error):
            await call
    assert (await desk.use.accounts(), await desk.use.aliases(), desk.told) == (before, [], told)


async def test_an_account_of_a_domain_that_went_can_still_be_removed():
    desk = Desk()
    await desk.use.add("you@example.test", PASSWORD)
    await desk.at([]).remove("you@example.test")
    assert await desk.use.accounts() == []


async def test_aliases_lead_to_what_exists_or_is_elsewhere():
    desk = Desk()
    await desk.use.add("you@example.test", PASSWORD)
    targets = ("you+info@example.test", "a@far.test", "b@routed.test")
    alias = await desk.use.add_alias("Info@example.test", targets)
    assert alias == Alias("info@example.test", targets)
    assert await desk.use.add_alias("all@example.test", ["info@example.test"])
    assert await desk.use.remove("you@example.test") == []
    await desk.use.remove_alias("info@example.test", "a@far.test")
    await desk.use.remove_alias("all@example.test")
    assert await desk.use.aliases("example.test") == [Alias("info@example.test", (targets[0], targets[2]))]
    assert [action for action, _, _ in desk.told] == ["add", "alias-add", "alias-add", "remove"] + ["alias-remove"] * 2


async def test_removing_an_account_names_the_aliases_that_led_to_it():
    desk = Desk()
    await desk.use.add("you@example.test", PASSWORD)
    await desk.use.add_alias("info@example.test", ["a@far.test", "You@Example.test"])
    await desk.use.add_alias("far@example.test", ["a@far.test"])
    assert [alias.name for alias in await desk.use.remove("you@example.test")] == ["info@example.test"]


async def test_domains_with_what_they_hold():
    desk = Desk()
    await desk.use.add("you@example.test", PASSWORD)
    await desk.use.add_alias("@example.test", ["you@example.test"])
    assert await desk.use.domain_summaries() == [
        DomainSummary("example.test", "accounts", 1, 1),
        DomainSummary("routed.test", "callahead", 0, 0),
    ]


async def test_a_password_that_was_had_before_is_refused_and_the_last_few_are_remembered():
    desk = Desk()
    passwords = [f"quick fox {number} hedges" for number in range(7)]
    await desk.use.add("you@example.test", passwords[0])
    for password in passwords[1:]:
        with pytest.raises(Refused, match="is the one that the account has now"):
            await desk.use.passwd("you@example.test", passwords[passwords.index(password) - 1])
        desk.clock.advance(1)
        await desk.use.passwd("you@example.test", password)
    (stored,) = await desk.use.accounts()
    assert stored.password_history == tuple(f"$fake${password}" for password in reversed(passwords[2:6]))
    assert stored.password_changed == stored.created + 6
    for password in passwords[2:6]:
        with pytest.raises(Refused, match="was used before; take one that is not among the last 5"):
            await desk.use.passwd("you@example.test", password)
    await desk.use.passwd("you@example.test", passwords[1])
