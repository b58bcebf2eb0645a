"""LoginExchange: every mechanism from its first message to a result, with whatever the account knows at that moment."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.accounts.exchange import LoginExchange
from ekiden.accounts.login import Authenticator
from ekiden.accounts.result import LoginReason, LoginResult
from ekiden.accounts.verifier import ITERATIONS
from ekiden.model.account import Account
from ekiden.ports.directory import DirectoryFailed
from ekiden.proto.sasl import Challenge, SaslFault
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.passwords import FakeHasher
from tests.fakes.scram import PLUS, SALT, SCRAM, ScramPeer, app_password, verifier

YOU = "you@example.test"
SECRET = "abcd-efgh-jkmn-pqrs-tuvw-xyz2"
BINDING = b"\x11" * 32


class House:
    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.hasher = FakeHasher()
        self.clock = FakeClock()
        self.pairs = MemoryKnownPairs()
        self.door = self.authenticator()

    def authenticator(self, seed=1, **rules):
        parts = (self.directory, self.hasher, self.clock, FakeRandom(seed), self.pairs)
        return Authenticator(*parts, ["example.test", "second.test"], **rules)

    async def add(self, name=YOU, password="secret", **more):
        await self.directory.add_account(Account(name, f"$fake${password}", verifier(password), **more))

    async def change(self, **changes):
        account = await self.directory.account(YOU)
        await self.directory.change_account(msgspec.structs.replace(account, **changes))

    def begin(self, name=SCRAM, client="192.0.2.1", scope="submit"):
        return LoginExchange(self.door, name, binding=BINDING if name == PLUS else b"", client=client, scope=scope)

    async def scram(self, login=YOU, password="secret", name=SCRAM, **more) -> LoginResult:
        """As far as it goes: a LoginResult at the proof, or behind the server's own one."""
        exchange, peer = self.begin(name, **more), ScramPeer(login, password, name)
        offer = await exchange.step(peer.first)
        assert isinstance(offer, Challenge)
        judged = await exchange.step(peer.answer(offer.data))
        if isinstance(judged, Challenge):
            peer.verify(judged.data)
            judged = await exchange.step(b"")
        assert isinstance(judged, LoginResult)
        return judged


@pytest.mark.parametrize("name", [SCRAM, PLUS])
async def test_scram_lets_in(name):
    house = House()
    await house.add()
    result = await house.scram(name=name)
    assert result == LoginResult(await house.directory.account(YOU), LoginReason.OK, YOU)
    assert house.pairs.pairs == {(YOU, "192.0.2.0/24")}
    assert house.hasher.verified + house.hasher.nobody == 0


async def test_scram_takes_each_of_the_app_passwords():
    house = House()
    await house.add(app_passwords=(app_password("2" * 24, "aaaa"), app_password(SECRET, "bbbb", scopes=("fetch",))))
    assert (await house.scram(password="2" * 24)).app_password == "aaaa"
    result = await house.scram(password=SECRET, scope="fetch")
    assert (result.reason, result.app_password) == (LoginReason.OK, "bbbb")
    result = await house.scram(password=SECRET, scope="submit")
    assert (result.account, result.reason, result.app_password) == (None, LoginReason.OUT_OF_SCOPE, "bbbb")


async def test_a_password_that_is_too_old_is_refused_and_app_passwords_go_on():
    house = House()
    house.door = house.authenticator(max_age_days=90)
    await house.add(password_changed=house.clock.now(), app_passwords=(app_password(SECRET),))
    assert (await house.scram()).reason is LoginReason.OK
    house.clock.advance(90 * 86_400)
    assert (await house.scram()).reason is LoginReason.TOO_OLD
    assert (await house.scram(password=SECRET)).reason is LoginReason.OK


async def test_the_last_use_of_an_app_password_is_noted():
    house = House()
    await house.add(app_passwords=(app_password(SECRET),))
    await house.scram(password=SECRET)
    account = await house.directory.account(YOU)
    assert account.app_passwords[0].last_used == house.clock.now()
    assert account.app_passwords[0].last_client == "192.0.2.1"


@pytest.mark.parametrize(
    ("login", "changes", "reason"),
    [
        (YOU, {}, LoginReason.WRONG_PASSWORD),
        (YOU, {"enabled": False}, LoginReason.DISABLED),
        ("nobody@example.test", {}, LoginReason.UNKNOWN_USER),
    ],
)
async def test_who_fails_learns_nothing_until_the_end(login, changes, reason):
    house = House()
    await house.add(**changes)
    exchange, peer = house.begin(), ScramPeer(login, "wrong")
    offer = await exchange.step(peer.first)
    assert isinstance(offer, Challenge)
    result = await exchange.step(peer.answer(offer.data))
    assert isinstance(result, LoginResult)
    assert (result.account, result.reason, result.name) == (None, reason, login)
    assert not house.pairs.pairs


async def test_a_disabled_account_is_not_let_in_with_its_password():
    house = House()
    await house.add(enabled=False)
    assert (await house.scram()).reason is LoginReason.DISABLED


async def test_the_salt_of_nobody_stays_and_tells_nothing():
    house = House()
    await house.add()

    async def salt(door, login):
        offer = await door.scram_offer(login, "192.0.2.1")
        assert offer.iterations == (4096 if "you" in login else ITERATIONS)
        return offer.salt

    nobody = await salt(house.door, "nobody@example.test")
    assert nobody == await salt(house.authenticator(seed=2), "Nobody@Example.test")  # another worker, another day
    assert nobody != await salt(house.door, "nobody@second.test")
    assert len(nobody) == len(SALT)
    house.pairs = MemoryKnownPairs(b"another installation's secret...")
    assert nobody != await salt(house.authenticator(), "nobody@example.test")


async def test_nonces_are_fresh():
    house = House()
    assert (await house.door.scram_offer(YOU, "192.0.2.1")).nonce != (
        await house.door.scram_offer(YOU, "192.0.2.1")
    ).nonce


@pytest.mark.parametrize("when", ["before the proof", "before the last word"])
async def test_a_change_on_the_way_wins(when):
    house = House()
    await house.add()
    exchange, peer = house.begin(), ScramPeer(YOU, "secret")
    final = peer.answer((await exchange.step(peer.first)).data)
    if when == "before the proof":
        await house.change(enabled=False)
        result = await exchange.step(final)
    else:
        assert isinstance(await exchange.step(final), Challenge)
        await house.change(enabled=False)
        result = await exchange.step(b"")
    assert (result.account, result.reason) == (None, LoginReason.CHANGED)


async def test_an_app_password_that_expires_before_the_last_word_is_expired():
    house = House()
    await house.add(app_passwords=(app_password(SECRET, expires=house.clock.now() + 60),))
    exchange, peer = house.begin(), ScramPeer(YOU, SECRET)
    assert isinstance(await exchange.step(peer.answer((await exchange.step(peer.first)).data)), Challenge)
    house.clock.advance(60)
    assert (await exchange.step(b"")).reason is LoginReason.EXPIRED


async def test_the_last_word_is_answered_with_nothing():
    house = House()
    await house.add()
    exchange, peer = house.begin(), ScramPeer(YOU, "secret")
    await exchange.step(peer.answer((await exchange.step(peer.first)).data))
    assert isinstance(await exchange.step(b"x"), SaslFault)


async def test_a_store_that_fails_is_no_wrong_password():
    house = House()

    class Failing(MemoryDirectory):
        async def account(self, name):
            raise DirectoryFailed("disk on fire")

    house.directory = Failing()
    house.door = house.authenticator()
    result = await house.begin().step(ScramPeer(YOU, "secret").first)
    assert result.reason is LoginReason.STORE_FAILED
    assert result.try_later


async def test_plain_and_login_ask_the_same():
    house = House()
    await house.add()
    assert (await house.begin("PLAIN").step(b"\0you@example.test\0secret")).reason is LoginReason.OK
    exchange = house.begin("LOGIN")
    assert await exchange.step(b"you") == Challenge(b"Password:")
    assert (await exchange.step(b"secret")).reason is LoginReason.OK
    assert isinstance(await house.begin("PLAIN").step(b"x"), SaslFault)
