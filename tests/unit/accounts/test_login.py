"""Authenticator: one answer for every failure, a memory that forgets in time, and sessions that end when told to."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ekiden.accounts import remembered
from ekiden.accounts.login import Authenticator, LoginReason
from ekiden.model.account import Account, ScramVerifier
from ekiden.ports.directory import DirectoryFailed
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.passwords import FakeHasher
from tests.fakes.scram import app_password

SCRAM = ScramVerifier(b"s" * 16, 4096, b"k" * 32, b"v" * 32)


class House:
    """An Authenticator with what it stands on."""

    def __init__(self, directory=None, max_age_days=0):
        self.directory = directory or MemoryDirectory()
        self.hasher = FakeHasher()
        self.clock = FakeClock()
        self.pairs = MemoryKnownPairs()
        domains = ["example.test", "second.test"]
        parts = (self.directory, self.hasher, self.clock, FakeRandom(), self.pairs)
        self.door = Authenticator(*parts, domains, max_age_days=max_age_days)

    async def add(self, name="you@example.test", password="secret", **changes):
        account = Account(name, f"$fake${password}", SCRAM)
        await self.directory.add_account(msgspec.structs.replace(account, **changes))

    async def change(self, name="you@example.test", **changes):
        account = await self.directory.account(name)
        await self.directory.change_account(msgspec.structs.replace(account, **changes))

    async def check(self, login, password, client="192.0.2.1", scope="submit"):
        return await self.door.check(login, password, client=client, scope=scope)

    async def reason(self, login, password, **more):
        return (await self.check(login, password, **more)).reason


class FailingDirectory(MemoryDirectory):
    failing = False

    async def account(self, name):
        if self.failing:
            raise DirectoryFailed("disk on fire")
        return await super().account(name)


async def test_right_password_gives_the_account():
    house = House()
    await house.add()
    result = await house.check("you@example.test", "secret")
    assert result.reason is LoginReason.OK
    assert result.account == await house.directory.account("you@example.test")
    assert not result.try_later


@pytest.mark.parametrize(
    ("login", "password", "reason"),
    [
        ("you@example.test", "wrong", LoginReason.WRONG_PASSWORD),
        ("you@example.test", "", LoginReason.WRONG_PASSWORD),
        ("you@example.test", "x" * 2000, LoginReason.WRONG_PASSWORD),
        ("nobody@example.test", "secret", LoginReason.UNKNOWN_USER),
        ("off@example.test", "secret", LoginReason.DISABLED),
        ("off@example.test", "wrong", LoginReason.DISABLED),
        ("", "secret", LoginReason.UNKNOWN_USER),
        ("@example.test", "secret", LoginReason.UNKNOWN_USER),
        ("you@", "secret", LoginReason.UNKNOWN_USER),
        ("y" * 400, "secret", LoginReason.UNKNOWN_USER),
    ],
)
async def test_every_failure_costs_exactly_one_check(login, password, reason):
    house = House()
    await house.add()
    await house.add("off@example.test", enabled=False)
    result = await house.check(login, password)
    assert (result.account, result.reason) == (None, reason)
    assert not result.try_later
    assert house.hasher.verified + house.hasher.nobody == 1


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("you@example.test", "you@example.test"),
        ("You@EXAMPLE.test", "you@example.test"),
        (" you@example.test ", "you@example.test"),
        ("you", "you@example.test"),
        ("you@second.test.", "you@second.test"),
        ("you@bücher.test", "you@xn--bcher-kva.test"),
        ("u\u0308@example.test", "\u00fc@example.test"),
        ('"you"@example.test', "you@example.test"),
        ("a@b@example.test", "a@b@example.test"),
        ("", ""),
    ],
)
def test_login_names(login, name):
    assert House().door.account_name(login) == name


def test_without_domains_a_login_needs_its_own():
    door = Authenticator(MemoryDirectory(), FakeHasher(), FakeClock(), FakeRandom(), MemoryKnownPairs())
    assert door.account_name("you") == ""
    assert door.account_name("you@example.test") == "you@example.test"


async def test_passwords_are_compared_in_prepared_form():
    house = House()
    await house.add(password="caf\u00e9 au lait")
    assert await house.reason("you", "cafe\u0301\u00a0au lait") is LoginReason.OK


async def test_a_success_is_remembered_for_five_minutes_and_no_longer():
    house = House()
    await house.add()
    for _ in range(3):
        assert await house.reason("you", "secret") is LoginReason.OK
    assert house.hasher.verified == 1
    house.clock.advance(299)
    assert await house.reason("you", "secret") is LoginReason.OK
    assert house.hasher.verified == 1
    house.clock.advance(2)
    assert await house.reason("you", "secret") is LoginReason.OK
    assert house.hasher.verified == 2


async def test_a_remembered_success_opens_nothing_else():
    house = House()
    await house.add()
    await house.add("bob@example.test", password="other")
    await house.reason("you", "secret")
    assert await house.reason("you", "Secret") is LoginReason.WRONG_PASSWORD
    assert await house.reason("bob", "secret") is LoginReason.WRONG_PASSWORD
    assert house.hasher.verified == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"argon2": "$fake$new"}, LoginReason.WRONG_PASSWORD), ({"enabled": False}, LoginReason.DISABLED)],
)
async def test_a_change_of_the_account_forgets_the_success(changes, reason):
    house = House()
    await house.add()
    await house.reason("you", "secret")
    await house.change(**changes)
    assert await house.reason("you", "secret") is reason


async def test_a_removed_account_that_comes_back_starts_anew():
    house = House()
    await house.add()
    account = (await house.check("you", "secret")).account
    await house.directory.remove_account("you@example.test")
    assert await house.reason("you", "secret") is LoginReason.UNKNOWN_USER
    await house.add(password="another")
    assert await house.reason("you", "secret") is LoginReason.WRONG_PASSWORD
    assert not await house.door.still_valid(account.name, account.epoch)


async def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(remembered, "REMEMBER_AT_MOST", 2)
    house = House()
    for name in ("a", "b", "c"):
        await house.add(f"{name}@example.test")
        await house.reason(name, "secret")
    assert len(house.door._recent) == 2
    await house.reason("c", "secret")
    assert house.hasher.verified == 3
    await house.reason("a", "secret")
    assert house.hasher.verified == 4


async def test_the_memory_holds_no_password():
    house = House()
    await house.add()
    await house.reason("you", "secret")
    assert "secret" not in repr(vars(house.door._recent))


async def test_the_memory_of_another_process_is_another():
    house = House()
    await house.add()
    account = await house.directory.account("you@example.test")
    other = Authenticator(house.directory, house.hasher, house.clock, FakeRandom(seed=2), house.pairs)
    assert house.door._recent.mac(account, "secret") != other._recent.mac(account, "secret")


async def test_mac_parts_can_not_be_shifted_into_each_other():
    door = House().door
    one = door._recent.mac(Account("a", "", SCRAM, epoch=1), "1:b")
    assert one != door._recent.mac(Account("a1:", "", SCRAM, epoch=1), "b")
    assert one != door._recent.mac(Account("a", "", SCRAM, epoch=11), "b")


@pytest.mark.parametrize("login", ["you", "nobody"])
async def test_too_many_checks_means_try_later(login):
    house = House()
    await house.add()
    house.hasher.busy = True
    result = await house.check(login, "secret")
    assert (result.account, result.reason, result.try_later) == (None, LoginReason.BUSY, True)


async def test_a_store_that_fails_means_try_later_and_ends_open_sessions():
    house = House(FailingDirectory())
    await house.add()
    account = (await house.check("you", "secret")).account
    house.directory.failing = True
    result = await house.check("you", "secret")
    assert (result.account, result.reason, result.try_later) == (None, LoginReason.STORE_FAILED, True)
    assert not await house.door.still_valid(account.name, account.epoch)


@pytest.mark.parametrize("action", ["disable", "passwd", "remove"])
async def test_a_change_during_the_check_wins(action):
    house = House()
    await house.add()
    house.hasher.gate = asyncio.Event()
    checking = asyncio.ensure_future(house.check("you", "secret"))
    await asyncio.sleep(0)
    if action == "remove":
        await house.directory.remove_account("you@example.test")
    else:
        await house.change(**({"enabled": False} if action == "disable" else {"argon2": "$fake$new"}))
    house.hasher.gate.set()
    result = await checking
    assert (result.account, result.reason) == (None, LoginReason.CHANGED)
    assert not house.door._recent


async def test_open_sessions_end_with_their_epoch():
    house = House()
    await house.add()
    account = (await house.check("you", "secret")).account
    assert await house.door.still_valid(account.name, account.epoch)
    await house.change(argon2="$fake$new")
    assert not await house.door.still_valid(account.name, account.epoch)
    assert await house.door.still_valid(account.name, account.epoch + 1)
    await house.change(enabled=False)
    assert not await house.door.still_valid(account.name, account.epoch + 2)
    await house.directory.remove_account(account.name)
    assert not await house.door.still_valid(account.name, account.epoch + 2)


# --- app passwords --------------------------------------------------------------------------------------------------

APP = "abcd-efgh-jkmn-pqrs-tuvw-xyz2"


async def test_an_app_password_opens_without_argon2():
    house = House()
    await house.add(app_passwords=(app_password(APP, "aaaa"),))
    for written in (APP, APP.upper(), APP.replace("-", " ")):
        result = await house.check("you", written)
        assert (result.reason, result.app_password) == (LoginReason.OK, "aaaa")
    assert house.hasher.verified + house.hasher.nobody == 0
    assert (await house.directory.account("you@example.test")).app_passwords[0].last_client == "192.0.2.1"
    assert (await house.check("you", "secret")).app_password == ""


@pytest.mark.parametrize(
    ("limits", "client", "scope", "reason"),
    [
        ({"expires": 1_767_225_600.0}, "192.0.2.1", "submit", LoginReason.EXPIRED),
        ({"expires": 1_767_225_601.0}, "192.0.2.1", "submit", LoginReason.OK),
        ({"scopes": ("fetch",)}, "192.0.2.1", "submit", LoginReason.OUT_OF_SCOPE),
        ({"scopes": ("fetch",)}, "192.0.2.1", "fetch", LoginReason.OK),
        ({"networks": ("10.0.0.0/8", "2001:db8::/32")}, "192.0.2.1", "submit", LoginReason.OUT_OF_NETWORK),
        ({"networks": ("10.0.0.0/8", "2001:db8::/32")}, "", "submit", LoginReason.OUT_OF_NETWORK),
        ({"networks": ("10.0.0.0/8", "2001:db8::/32")}, "10.1.2.3", "submit", LoginReason.OK),
        ({"networks": ("10.0.0.0/8", "2001:db8::/32")}, "2001:db8:1::1", "submit", LoginReason.OK),
    ],
)
async def test_an_app_password_holds_where_it_was_made_for(limits, client, scope, reason):
    house = House()
    await house.add(app_passwords=(app_password(APP, "aaaa", **limits),))
    result = await house.check("you", APP, client, scope)
    assert (result.reason, result.app_password) == (reason, "aaaa")
    assert (result.account is None) is (reason is not LoginReason.OK)
    # what is refused costs what a wrong password costs
    assert house.hasher.verified + house.hasher.nobody == (reason is not LoginReason.OK)


async def test_an_app_password_of_somebody_else_or_of_a_disabled_account_opens_nothing():
    house = House()
    await house.add(app_passwords=(app_password(APP),))
    await house.add("bob@example.test")
    await house.add("off@example.test", enabled=False, app_passwords=(app_password(APP),))
    assert await house.reason("bob", APP) is LoginReason.WRONG_PASSWORD
    assert await house.reason("off", APP) is LoginReason.DISABLED
    assert house.hasher.verified + house.hasher.nobody == 2


async def test_a_revoked_app_password_opens_nothing_and_ends_its_sessions():
    house = House()
    await house.add(app_passwords=(app_password(APP, "aaaa"),))
    account = (await house.check("you", APP)).account
    await house.directory.remove_app_password("you@example.test", "aaaa")
    assert await house.reason("you", APP) is LoginReason.WRONG_PASSWORD
    assert not await house.door.still_valid(account.name, account.epoch)


# --- who was here before --------------------------------------------------------------------------------------------


async def test_who_was_here_before_has_a_place_before_others():
    house = House()
    await house.add()
    await house.reason("you", "wrong")
    await house.reason("you", "secret", client="192.0.2.9")
    await house.reason("you", "wrong", client="192.0.2.200")
    await house.reason("you", "wrong", client="192.0.3.1")
    await house.reason("bob", "wrong", client="192.0.2.1")
    assert house.hasher.known == [False, False, True, False, False]
    assert house.pairs.pairs == {("you@example.test", "192.0.2.0/24")}


async def test_a_password_that_is_too_old_is_refused_and_that_is_told_ahead():
    house = House(max_age_days=90)
    day, now = 86_400.0, house.clock.now()
    await house.add(password_changed=now, app_passwords=(app_password("abcd-efgh-jkmn-pqrs-tuvw-xyz2"),))
    assert (await house.check("you", "secret")).password_until == 0
    house.clock.advance(76 * day + 1)
    told = await house.check("you", "secret")
    assert (told.reason, told.password_until) == (LoginReason.OK, now + 90 * day)
    house.clock.advance(14 * day - 2)
    assert await house.reason("you", "secret") is LoginReason.OK
    house.clock.advance(1)
    assert await house.check("you", "secret") == (None, LoginReason.TOO_OLD, "you@example.test", "", 0.0)
    before = house.hasher.verified
    for password, reason in (("secret", LoginReason.TOO_OLD), ("wrong", LoginReason.WRONG_PASSWORD)):
        assert await house.reason("you", password) is reason
    assert house.hasher.verified == before + 2, "as dear as a wrong one, each time"
    assert (await house.check("you", "abcd-efgh-jkmn-pqrs-tuvw-xyz2")).account is not None
    await house.change(password_changed=house.clock.now())
    assert await house.reason("you", "secret") is LoginReason.OK
