"""Banning by hand."""

from __future__ import annotations

import pytest

from ekiden.admin.bans import BanDesk, NoSuchNetwork, NotBanned
from ekiden.config.model import Config, DoorRules, Doors
from ekiden.model.events import BanLifted, BanSet
from ekiden.storage.memory.bans import MemoryBans
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink


class Office:
    def __init__(self) -> None:
        self.bans, self.events, self.clock = MemoryBans(), CollectingSink(), FakeClock()
        doors = Doors(submission=DoorRules(proxies=("192.0.2.200",)))
        config = Config(hostname="mail.example.test", data_dir="/nowhere", doors=doors)
        self.desk = BanDesk(self.bans, self.events, self.clock, config, by="ann")


async def test_add_list_and_remove() -> None:
    office = Office()
    first = await office.desk.add("198.51.100.66", 3600, "guesses")
    office.clock.advance(1)
    await office.desk.add("2001:db8:1::/48")
    assert (first.network, first.until) == ("198.51.100.66/32", first.since + 3600)
    assert [ban.network for ban in await office.desk.list()] == ["2001:db8:1::/48", "198.51.100.66/32"]
    await office.desk.remove("198.51.100.66")
    assert [ban.network for ban in await office.desk.list()] == ["2001:db8:1::/48"]
    told = office.events.of(BanSet)
    assert (told[0].network, told[0].by, told[0].reason) == ("198.51.100.66/32", "ann", "guesses")
    assert told[1].until == 0.0
    assert office.events.one(BanLifted).network == "198.51.100.66/32"


async def test_what_is_over_is_not_listed() -> None:
    office = Office()
    await office.desk.add("198.51.100.66", 3600)
    office.clock.advance(3600)
    assert await office.desk.list() == []
    with pytest.raises(NotBanned):
        await office.desk.remove("198.51.100.66")


async def test_a_mapped_address_means_the_ipv4_one() -> None:
    assert (await Office().desk.add("::ffff:198.51.100.66")).network == "198.51.100.66/32"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("example.org", "no address"),
        ("192.0.2.1/24", "did you mean 192.0.2.0/24"),
        ("0.0.0.0/0", "too wide"),
        ("::/0", "too wide"),
        ("::ffff:0.0.0.0/96", "too wide"),
        ("127.0.0.0/8", "this machine itself"),
        ("::1", "this machine itself"),
        ("192.0.2.0/24", "192.0.2.200, a listed proxy"),
    ],
)
async def test_what_would_shut_out_everybody_is_refused(text: str, why: str) -> None:
    office = Office()
    with pytest.raises(NoSuchNetwork, match=why):
        await office.desk.add(text)
    assert list(await office.bans.all()) == []


async def test_who_is_not_banned_cannot_be_lifted_and_the_wider_ban_is_named() -> None:
    office = Office()
    await office.desk.add("198.51.100.0/24")
    with pytest.raises(NotBanned, match=r"part of 198\.51\.100\.0/24"):
        await office.desk.remove("198.51.100.66")
    with pytest.raises(NotBanned, match="ban list"):
        await office.desk.remove("203.0.113.1")
