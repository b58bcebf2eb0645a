"""Guessers are stopped, and people are not: told with a clock that tests move."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.accounts.bans import BanBook
from ekiden.accounts.guarded_login import GuardedAuthenticator, GuessGuard
from ekiden.accounts.login import ScramOffer
from ekiden.accounts.result import LoginReason
from ekiden.config.model import Limits
from ekiden.model.account import Account, ScramVerifier
from ekiden.model.events import BanSet, GuardActed
from ekiden.policy.guessing import WINDOW
from ekiden.policy.networks import NetworkSet
from ekiden.ports.bans import BansFailed
from ekiden.ports.tokens import TokenFault
from ekiden.session.guard_report import GuardReport
from ekiden.storage.memory.bans import MemoryBans
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from ekiden.storage.memory.tally import MemoryTally
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.passwords import FakeHasher
from tests.fakes.tokens import FakeTokens

YOU = "you@example.test"
THIEF = "198.51.100.66"
HOME = "192.0.2.1"
SHARED = "172.17.0.1"
PROXY = "172.18.0.1"
LIMIT = 5
BAN_AFTER = 4
SCRAM = ScramVerifier(b"s" * 16, 4096, b"k" * 32, b"v" * 32)


class House:
    """`waits`: how long logins were made to wait."""

    def __init__(self, shared: House | None = None) -> None:
        self.clock = shared.clock if shared else FakeClock()
        self.tally = MemoryTally(self.clock, shared.tally if shared else None)
        self.pairs = shared.pairs if shared else MemoryKnownPairs()
        self.directory = shared.directory if shared else MemoryDirectory()
        self.events = CollectingSink()
        self.waits: list[float] = []
        self.bans = BanBook(MemoryBans(), self.tally, self.pairs, self.clock, self.events)
        report, many, proxies = GuardReport(self.tally, self.events), NetworkSet((SHARED,)), NetworkSet((PROXY,))
        limits = Limits(guesses=LIMIT, ban_after=BAN_AFTER)
        guard = GuessGuard(self.tally, report, limits, many, self.bans, proxies, self._pause)
        parts = (self.directory, FakeHasher(), self.clock, FakeRandom(), self.pairs, ["example.test"])
        self.door = GuardedAuthenticator(guard, *parts, tokens=FakeTokens({"yours": YOU, "old": TokenFault.EXPIRED}))

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def login(self, password: str, login: str = YOU, client: str = THIEF) -> LoginReason:
        return (await self.door.check(login, password, client=client, scope="submit")).reason

    async def show(self, token: str, login: str = YOU, client: str = THIEF) -> LoginReason:
        return (await self.door.check_token(login, token, client=client)).reason

    async def guess(self, count: int, client: str = THIEF, login: str = YOU) -> list[LoginReason]:
        return [await self.login(f"guess {client} {number}", login, client) for number in range(count)]


@pytest.fixture
async def house() -> House:
    house = House()
    await house.directory.add_account(Account(YOU, "$fake$secret", SCRAM))
    return house


async def test_a_guesser_is_refused_and_told_of_once(house) -> None:
    assert await house.guess(LIMIT + 3) == [LoginReason.WRONG_PASSWORD] * LIMIT + [LoginReason.GUESSING] * 3
    assert await house.login("secret") is LoginReason.GUESSING, "not even the right one, from a stranger's address"
    assert house.waits == [0.5, 1.0]
    event = house.events.one(GuardActed)
    assert (event.guard, event.who) == ("login-guesses", f"{THIEF}/32")
    house.clock.advance(3600 * 8 / 7)
    assert await house.login("secret") is LoginReason.OK


async def test_a_guesser_never_locks_the_owner_out(house) -> None:
    """Not even from the owner's own address."""
    assert await house.login("secret", client=HOME) is LoginReason.OK
    await house.guess(200, HOME, "other@example.test")
    await house.guess(200)
    for client in (HOME, "192.0.2.99"):
        assert await house.login("secret", client=client) is LoginReason.OK
    assert await house.login("mistyped", client=HOME) is LoginReason.WRONG_PASSWORD
    assert await house.login("secret", "other@example.test", HOME) is LoginReason.GUESSING


async def test_a_stale_password_tried_all_day_is_one_guess(house) -> None:
    for _ in range(300):
        assert await house.login("old password", client=HOME) is LoginReason.WRONG_PASSWORD
        house.clock.advance(300)
    assert house.waits == []
    assert await house.login("secret", client=HOME) is LoginReason.OK


async def test_one_password_for_many_names_is_many_guesses(house) -> None:
    found = [await house.login("Summer2026", f"name{number}@example.test") for number in range(LIMIT + 1)]
    assert found[-1] is LoginReason.GUESSING


async def test_wide_networks_are_slowed_and_not_refused(house) -> None:
    for number in range(30):
        await house.guess(1, f"198.51.100.{number}", f"name{number}@example.test")
    assert house.waits[-1] == 5.0
    assert await house.login("secret", client="198.51.100.40") is LoginReason.OK
    assert house.waits[-1] == 5.0
    house.waits.clear()
    assert await house.login("secret", client="198.51.100.41") is LoginReason.OK
    assert house.waits == [], "a pair that is known is not slowed"


async def test_a_victim_of_many_addresses_is_slowed_and_not_locked(house) -> None:
    for number in range(LIMIT * 5):
        await house.guess(1, f"10.{number}.0.1")
    assert await house.login("secret", client="203.0.113.5") is LoginReason.OK
    assert house.waits[-1] == 5.0


async def test_many_behind_one_address_are_slowed_and_not_refused(house) -> None:
    assert LoginReason.GUESSING not in await house.guess(LIMIT * 3, SHARED)
    assert await house.login("secret", client=SHARED) is LoginReason.OK


async def test_workers_count_together(house) -> None:
    other = House(house)
    await house.guess(LIMIT)
    assert await other.login("yet another") is LoginReason.GUESSING


async def test_a_right_secret_in_the_wrong_place_is_no_guess(house) -> None:
    account = await house.directory.account(YOU)
    await house.directory.change_account(msgspec.structs.replace(account, password_changed=1.0))
    house.door._max_age_days = 1
    for _ in range(LIMIT * 2):
        assert await house.login("secret") is LoginReason.TOO_OLD
    assert house.tally.count(f"guess:{THIEF}/32", WINDOW) == 0
    assert await house.login("wrong") is LoginReason.WRONG_PASSWORD
    assert house.tally.count(f"guess:{THIEF}/32", WINDOW) == 1


async def test_a_failed_scram_exchange_is_one_guess(house) -> None:
    for _ in range(LIMIT):
        offer = await house.door.scram_offer(YOU, THIEF)
        assert isinstance(offer, ScramOffer)
        result = await house.door.scram_judge(offer, None, client=THIEF, scope="fetch")
        assert result.reason is LoginReason.WRONG_PASSWORD
    refused = await house.door.scram_offer(YOU, THIEF)
    assert refused.reason is LoginReason.GUESSING
    assert await house.login("secret") is LoginReason.GUESSING
    assert isinstance(await house.door.scram_offer(YOU, HOME), ScramOffer)


async def test_a_wrong_token_is_one_guess_and_a_right_one_is_taken_all_the_same(house) -> None:
    for number in range(LIMIT):
        assert await house.show(f"forged {number}", "") is LoginReason.TOKEN_SIGNATURE
        assert await house.show("forged 0", "") is LoginReason.TOKEN_SIGNATURE or number == LIMIT - 1
    assert await house.show("forged", "") is LoginReason.GUESSING
    assert await house.login("secret") is LoginReason.GUESSING, "passwords and tokens count together"
    assert await house.show("yours", "") is LoginReason.OK, "nobody guesses a signature"


async def test_a_token_that_the_issuer_did_sign_is_no_guess(house) -> None:
    for _ in range(LIMIT * 2):
        assert await house.show("old") is LoginReason.TOKEN_EXPIRED
    assert house.tally.count(f"guess:{THIEF}/32", WINDOW) == 0


async def test_logins_without_a_name_do_not_slow_each_other(house) -> None:
    for number in range(LIMIT * 5):
        await house.show(f"forged {number}", "", f"10.{number}.0.1")
    house.waits.clear()
    assert await house.show("forged", "", "203.0.113.5") is LoginReason.TOKEN_SIGNATURE
    assert house.waits == []


async def refused(house, count: int, client: str = THIEF) -> None:
    for _ in range(count):
        assert await house.login("secret", client=client) is LoginReason.GUESSING
    house.bans.refresh()


async def test_who_goes_on_after_the_refusal_is_banned_and_told_of(house) -> None:
    await house.guess(LIMIT)
    await refused(house, BAN_AFTER - 1)
    assert not house.bans.banned(THIEF)
    await refused(house, 3)
    assert house.bans.banned(THIEF)
    assert not house.bans.banned("198.51.100.67")
    event = house.events.one(BanSet)
    assert (event.network, event.until, event.times) == (f"{THIEF}/32", house.clock.now() + 3600, 1)
    house.clock.advance(3601)
    assert not house.bans.banned(THIEF)


async def test_the_next_ban_lasts_twice_as_long(house) -> None:
    for hours in (1, 2, 4):
        await house.guess(LIMIT)
        await refused(house, BAN_AFTER)
        ban = house.events.of(BanSet)[-1]
        assert ban.until == house.clock.now() + hours * 3600
        house.clock.advance(hours * 3600 + 3600 * 8 / 7)


async def test_where_anybody_came_from_nobody_is_banned(house) -> None:
    """Not even if they were never at that very address: tomorrow they may be."""
    assert await house.login("secret", client=THIEF.replace(".66", ".5")) is LoginReason.OK
    await house.guess(LIMIT, login="other@example.test")
    for _ in range(BAN_AFTER * 3):
        assert await house.login("x", "other@example.test") is LoginReason.GUESSING
    house.bans.refresh()
    assert not house.bans.banned(THIEF)
    assert await house.login("secret") is LoginReason.OK


async def test_a_proxy_is_never_banned_and_a_limit_of_0_is_none(house) -> None:
    await house.guess(LIMIT, PROXY)
    await refused(house, BAN_AFTER * 2, PROXY)
    assert not house.bans.banned(PROXY)
    house.door._guard = house.door._guard._replace(limits=Limits(guesses=LIMIT, ban_after=0))
    await house.guess(LIMIT)
    await refused(house, BAN_AFTER * 2)
    assert not house.bans.banned(THIEF)


async def test_a_store_that_fails_bans_nobody_and_logins_go_on(house, monkeypatch) -> None:
    async def fail(_: object) -> None:
        raise BansFailed("disk")

    monkeypatch.setattr(house.bans._bans, "put", fail)
    await house.guess(LIMIT)
    await refused(house, BAN_AFTER)
    assert house.events.of(BanSet) == []
