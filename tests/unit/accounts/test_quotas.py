"""Quotas: who has room, when a mailbox is counted anew, and who is warned how often."""

from __future__ import annotations

import pytest

from ekiden.accounts.quotas import RECOUNT, TOLD, Quotas
from ekiden.config.model import Domain
from ekiden.model.events import QuotaFull, QuotaNear
from ekiden.policy.quota import AS_DOMAIN, render_octets
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink
from tests.fakes.usage import FakeUsage

YOU, ALL = "you@example.test", "@example.test"


class House:
    def __init__(self, *, cached: bool = True, **quotas: int) -> None:
        self.usage = FakeUsage(cached=cached)
        self.clock = FakeClock()
        self.events = CollectingSink()
        self.quotas = Quotas(self.usage, self.clock, self.events, self.usage.warn)
        self.quotas.configure([Domain(name="Example.test", **quotas)])

    async def room(self, size: int = 0, own: int = AS_DOMAIN) -> bool:
        known = self.quotas.peek(YOU, own, size)
        return (known or await self.quotas.ask(YOU, own, size)).accepted

    async def holds(self, octets: int, name: str = YOU) -> None:
        self.usage.held[name] = octets
        await self.quotas.delivered(YOU, AS_DOMAIN)


async def test_where_there_is_no_quota_nothing_is_asked():
    house = House(cached=False)
    await house.holds(10**12)
    assert await house.room(10**9)
    assert not house.usage.asked


@pytest.mark.parametrize("cached", [True, False])
async def test_a_letter_fits_or_does_not_to_the_octet(cached):
    house = House(cached=cached, mailbox_quota=1000)
    house.usage.held[YOU] = 900
    assert await house.room(100)
    assert not await house.room(101)
    assert await house.room()
    house.usage.held[YOU] = 1000
    assert not await house.room(), "nobody said how large it is"
    assert await house.room(own=2000)
    assert await house.room(own=0), "none"
    assert not await house.room(own=500)


async def test_a_domain_has_a_quota_of_its_own():
    house = House(quota=5000, mailbox_quota=1000)
    house.usage.held |= {YOU: 0, ALL: 4950}
    assert await house.room(50)
    assert not await house.room(51)
    assert not await house.room(51, own=0)


async def test_before_it_is_called_full_a_mailbox_is_counted_anew_now_and_then():
    house = House(mailbox_quota=1000)
    house.usage.held[YOU], house.usage.found[YOU] = 1000, 10
    assert await house.room(), "another program had emptied it"
    house.usage.held[YOU] = house.usage.found[YOU] = 1000
    for _ in range(50):
        assert not await house.room()
    assert house.usage.recounts == [YOU]
    house.clock.advance(RECOUNT)
    assert not await house.room()
    assert house.usage.recounts == [YOU] * 2


async def test_what_cannot_be_read_is_no_reason_to_refuse():
    house = House(mailbox_quota=1000)
    house.usage.fails = True
    assert await house.room(5000)


async def test_full_is_told_once_an_hour():
    house = House(mailbox_quota=1000)
    house.usage.held[YOU] = 1000
    for _ in range(9):
        await house.room()
    assert house.events.one(QuotaFull).octets == 1000
    house.clock.advance(TOLD)
    await house.room()
    assert len(house.events.of(QuotaFull)) == 2


async def test_the_owner_is_warned_once_until_there_is_room_again():
    house = House(mailbox_quota=1000)
    for octets in (100, 899, 900, 950, 880, 1000, 810):
        await house.holds(octets)
    assert [notice.to for notice in house.usage.warnings] == [YOU]
    assert house.events.one(QuotaNear).octets == 900
    await house.holds(799)
    await house.holds(920)
    assert len(house.usage.warnings) == 2
    assert "holds 920 octets of 1000 octets" in house.usage.warnings[1].text


async def test_the_postmaster_is_warned_of_a_domain():
    house = House(quota=1000)
    await house.holds(950, ALL)
    assert [(notice.to, notice.about) for notice in house.usage.warnings] == [("", ALL)]


async def test_a_warning_that_could_not_be_sent_is_sent_later():
    house = House(mailbox_quota=1000)

    async def fails(notice: object) -> None:
        raise RuntimeError("no queue")

    house.quotas._warn = fails
    with pytest.raises(RuntimeError):
        await house.holds(950)
    house.quotas._warn = house.usage.warn
    await house.holds(950)
    assert len(house.usage.warnings) == 1


def test_octets_for_people():
    assert [render_octets(n) for n in (0, 1023, 1024, 1536 * 1024**2, 2 * 1024**3, 3000 * 1024**4)] == [
        "0 octets", "1023 octets", "1 KiB", "1.5 GiB", "2 GiB", "3000 TiB",
    ]  # fmt: skip
