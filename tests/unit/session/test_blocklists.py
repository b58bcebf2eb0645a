"""Which lists are believed, and what is asked of them, with a clock that tests move."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.config.model import Dnsbl
from ekiden.model.caller_events import ListOff, ListOn
from ekiden.session.blocklists import EVERY, FRESH, RETRY, SUSPICION, Blocklists, Word
from ekiden.storage.memory.tally import MemoryTally
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink
from tests.fakes.resolver import FakeResolver

ENTRY = Dnsbl(zone="bad.test", codes={"127.0.0.2": 5}, page="https://bad.test/")
TEST6 = "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".bad.test"
UNLISTED6 = "1" + TEST6[1:]


class Desk:
    """A healthy list with 192.0.2.1 in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tally = MemoryTally(self.clock)
        self.events = CollectingSink()
        self.zone: dict[str, list[str]] = {
            "2.0.0.127.bad.test": ["127.0.0.2"],
            TEST6: ["127.0.0.2"],
            "1.2.0.192.bad.test": ["127.0.0.2"],
        }
        self.resolver = FakeResolver(addresses=self.zone)
        self.resolver.address_records = self.zone
        self.lists = self.worker()

    def worker(self) -> Blocklists:
        return Blocklists((ENTRY,), self.resolver, self.clock, self.tally, self.events)

    async def ask(self, client: str = "192.0.2.1") -> Word:
        return await self.lists.ask(ENTRY, client)

    def asked(self) -> list[str]:
        """Since it was asked last."""
        asked = [name for _, name in self.resolver.asked]
        self.resolver.asked.clear()
        return asked


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_healthy_list_says_who_is_listed(desk: Desk) -> None:
    word = await desk.ask()
    assert word.listing is not None
    assert (word.listing.zone, word.listing.points) == ("bad.test", 5)
    assert await desk.ask("192.0.2.2") == Word()
    assert desk.lists.is_on("bad.test")


async def test_it_is_checked_before_it_counts_and_then_every_hour(desk: Desk) -> None:
    await desk.ask("192.0.2.2")
    assert desk.asked() == ["2.0.0.127.bad.test", "1.0.0.127.bad.test", "2.2.0.192.bad.test"]
    await desk.ask("192.0.2.2")
    assert desk.asked() == ["2.2.0.192.bad.test"]
    await desk.lists.check_due()
    assert set(desk.asked()) == {TEST6, UNLISTED6}
    desk.clock.advance(EVERY)
    await desk.lists.check_due()
    assert len(desk.asked()) == 4


@pytest.mark.parametrize("trouble", ["lists everybody", "lists nobody", "silent", "refuses", "parked"])
async def test_a_list_that_cannot_be_believed_counts_nothing_and_is_told_once(desk: Desk, trouble: str) -> None:
    if trouble == "lists everybody":
        desk.zone["1.0.0.127.bad.test"] = ["127.0.0.2"]
    elif trouble == "lists nobody":
        del desk.zone["2.0.0.127.bad.test"]
    elif trouble == "silent":
        desk.resolver.fail("2.0.0.127.bad.test")
    else:
        answer = "127.255.255.254" if trouble == "refuses" else "203.0.113.9"
        desk.zone["2.0.0.127.bad.test"] = [answer]
    assert await desk.ask() == Word()
    assert not desk.lists.is_on("bad.test")
    event = desk.events.one(ListOff)
    assert (event.zone, event.family, event.level) == ("bad.test", "IPv4", "warning")
    desk.asked()
    assert await desk.ask() == Word()
    assert desk.asked() == [], "a list that is off is left in peace"
    other = desk.worker()
    assert await other.ask(ENTRY, "192.0.2.1") == Word()
    desk.events.one(ListOff)


async def test_it_comes_back_when_it_is_well(desk: Desk) -> None:
    desk.resolver.fail("2.0.0.127.bad.test")
    await desk.ask()
    desk.resolver.recover("2.0.0.127.bad.test")
    desk.clock.advance(RETRY)
    await desk.lists.check_due()
    assert desk.events.one(ListOn).zone == "bad.test"
    assert (await desk.ask()).listing is not None


async def test_a_list_that_begins_to_list_everybody_refuses_nobody(desk: Desk) -> None:
    await desk.ask()
    desk.zone["1.0.0.127.bad.test"] = ["127.0.0.2"]
    desk.zone["2.2.0.192.bad.test"] = ["127.0.0.2"]
    desk.clock.advance(FRESH)
    assert await desk.ask("192.0.2.2") == Word()
    assert "lists everybody" in desk.events.one(ListOff).reason


@pytest.mark.parametrize("code", ["127.255.255.255", "127.0.0.255", "198.51.100.1"])
async def test_an_answer_that_is_no_listing_switches_it_off_at_once(desk: Desk, code: str) -> None:
    await desk.ask()
    desk.zone["2.2.0.192.bad.test"] = [code]
    assert await desk.ask("192.0.2.2") == Word()
    assert code in desk.events.one(ListOff).reason
    assert await desk.ask() == Word()


async def test_codes_that_nobody_named_count_nothing_and_say_nothing_of_the_list(desk: Desk) -> None:
    desk.zone["2.2.0.192.bad.test"] = ["127.0.0.10"]
    assert await desk.ask("192.0.2.2") == Word()
    assert desk.lists.is_on("bad.test")


async def test_silence_is_looked_into_once_a_minute(desk: Desk) -> None:
    await desk.ask()
    desk.resolver.fail("2.2.0.192.bad.test")
    assert await desk.ask("192.0.2.2") == Word(silent=True)
    desk.asked()
    desk.clock.advance(SUSPICION)
    assert await desk.ask("192.0.2.2") == Word(silent=True)
    assert len(desk.asked()) == 3
    assert desk.lists.is_on("bad.test"), "the test questions are answered"
    desk.resolver.fail("2.0.0.127.bad.test")
    desk.clock.advance(SUSPICION)
    assert await desk.ask("192.0.2.2") == Word()
    assert not desk.lists.is_on("bad.test")


async def test_families_are_checked_apart(desk: Desk) -> None:
    del desk.zone[TEST6]
    assert await desk.ask("2001:db8::1") == Word()
    assert desk.events.one(ListOff).family == "IPv6"
    assert (await desk.ask()).listing is not None


async def test_many_at_once_check_once(desk: Desk) -> None:
    desk.resolver.hold("2.0.0.127.bad.test")
    asking = [asyncio.ensure_future(desk.ask(f"192.0.2.{number}")) for number in range(9)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.resolver.let_go("2.0.0.127.bad.test")
    await asyncio.gather(*asking)
    assert desk.asked().count("2.0.0.127.bad.test") == 1


async def test_what_is_found_after_the_end_counts_nothing(desk: Desk) -> None:
    desk.lists.close()
    desk.resolver.fail("2.0.0.127.bad.test")
    await desk.lists.check_due()
    assert not desk.events.events
