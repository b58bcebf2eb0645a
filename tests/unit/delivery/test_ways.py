"""From next-hop keys to sites: shared hosts, lookups, suspensions."""

from __future__ import annotations

import pytest

from ekiden.config.model import Site
from ekiden.delivery import ways
from ekiden.model.events import SiteState
from ekiden.ports.spool import SpoolFailed, Suspension
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

REFUSED = ConnectFailed("refused", "connection refused")


def shared(office: PostOffice, server: FakeSmtpServer, *domains: str) -> None:
    """All of the domains at the same host."""
    office.server(domains[0], server)
    for domain in domains[1:]:
        office.resolver.mx_records[domain] = office.resolver.mx_records[domains[0]]


async def test_domains_with_the_same_hosts_share_one_connection() -> None:
    async with PostOffice(config(connections_per_site=1)) as office:
        big = FakeSmtpServer()
        shared(office, big, "one.test", "two.test", "three.test")
        for domain in ("one", "two", "three", "one"):
            await office.send(f"a@{domain}.test")
        await office.settle()
        assert len(big.letters) == 4
        assert len(big.sessions) == 1
        (site,) = office.delivery._ways.sites()
        assert site.keys == {"mx:one.test", "mx:two.test", "mx:three.test"}


async def test_a_domain_without_a_road_decides_its_own_letters_alone() -> None:
    async with PostOffice() as office:
        big = FakeSmtpServer()
        shared(office, big, "one.test", "two.test")
        office.resolver.fail("broken.test")
        good, bad = await office.send("a@one.test"), await office.send("a@broken.test")
        gone = await office.send("a@nowhere.test")
        await office.settle()
        assert await office.kinds(good) == ["relayed"]
        assert await office.kinds(bad) == ["delayed"]
        assert await office.kinds(gone) == ["failed"]


async def test_no_road_is_believed_for_a_while_and_then_asked_about_again() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        office.resolver.fail("far.test")
        await office.send("a@far.test")
        await office.settle()
        questions = len(office.resolver.asked)
        office.resolver.recover("far.test")
        await office.send("b@far.test")
        await office.settle()
        assert len(office.resolver.asked) == questions
        await office.pass_time(ways.UNKNOWN + 1)
        await office.send("c@far.test")
        await office.settle()
        assert far.paths == ["c@far.test"]


async def test_a_road_is_not_looked_up_for_every_letter() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for _ in range(50):
            await office.send("a@far.test")
        await office.settle()
        assert len(far.letters) == 50
        assert office.resolver.asked.count(("mx", "far.test")) <= len(far.sessions)


async def test_a_domain_that_moves_is_followed_when_its_road_is_old() -> None:
    async with PostOffice() as office:
        old, new = FakeSmtpServer(), FakeSmtpServer()
        office.server("far.test", old)
        office.server("stays.test", FakeSmtpServer())
        await office.send("a@far.test")
        await office.settle()
        office.server("far.test", new)
        office.connector.targets[Endpoint("20.0.0.1", 25)] = REFUSED
        await office.pass_time(ways.KNOWN + 10, step=5)
        await office.send("b@far.test")
        await office.settle()
        assert new.paths == ["b@far.test"]


async def test_letters_that_wait_for_a_road_are_bounded_and_the_rest_is_not_claimed() -> None:
    async with PostOffice(config(window_letters=400)) as office:
        far, other = FakeSmtpServer(), FakeSmtpServer()
        office.server("far.test", far)
        office.server("other.test", other)
        office.resolver.hold("far.test")
        for number in range(300):
            await office.send(f"{number}@far.test")
        await office.settle()
        assert office.window.used_legs == 400 // ways.WAITING_PART
        assert office.delivery._ways.avoid() == {"mx:far.test"}
        await office.send("a@other.test")
        await office.settle()
        assert other.paths == ["a@other.test"]
        office.resolver.let_go("far.test")
        await office.pass_time(10)
        assert len(far.letters) == 300


async def test_many_waiting_domains_are_not_as_many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "LOOKUPS", 5)
    async with PostOffice() as office:
        servers = {f"d{n}.test": FakeSmtpServer() for n in range(40)}
        for domain, server in servers.items():
            office.server(domain, server)
            office.resolver.hold(domain)
            await office.send(f"a@{domain}")
        await office.settle()
        assert office.delivery._ways._asking == 5
        for domain in servers:
            office.resolver.let_go(domain)
            await office.settle()
        assert all(len(server.letters) == 1 for server in servers.values())
        assert office.delivery._ways._asking == 0


async def test_what_waits_for_a_road_is_given_back_by_a_drain() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer())
        office.resolver.hold("far.test")
        letter = await office.send("a@far.test")
        await office.settle()
        await office.delivery.drain(1)
        assert office.window.used_legs == 0
        (leg,) = (await office.queued(letter))[0].legs
        assert (leg.state, leg.attempts) == ("waiting", 0)


async def test_a_site_of_the_configuration_for_one_domain_parts_it_from_the_others() -> None:
    async with PostOffice(config(sites=[Site(match="one.test", connections=1)])) as office:
        big = FakeSmtpServer()
        shared(office, big, "one.test", "two.test", "three.test")
        for domain in ("one", "two", "three"):
            await office.send(f"a@{domain}.test")
        await office.settle()
        assert {frozenset(site.keys) for site in office.delivery._ways.sites()} == {
            frozenset({"mx:one.test"}),
            frozenset({"mx:two.test", "mx:three.test"}),
        }


# -- suspensions


@pytest.mark.parametrize("name", ["far.test", "mx:far.test", "mx0.far.test"])
async def test_nothing_is_begun_to_what_a_person_suspended(name: str) -> None:
    async with PostOffice() as office:
        far, other = FakeSmtpServer(), FakeSmtpServer()
        office.server("far.test", far)
        office.server("other.test", other)
        await office.spool.suspend_site(Suspension(name, None, "they asked us to", "root"))
        await office.pass_time(1)
        born = await office.send("a@far.test")
        stored = await office.send("b@far.test", claim=False)
        await office.send("c@other.test")
        await office.pass_time(5)
        assert far.lines == []
        assert other.paths == ["c@other.test"]
        assert office.window.used_legs == 0
        for letter in (born, stored):
            (leg,) = (await office.queued(letter))[0].legs
            assert (leg.state, leg.attempts) == ("waiting", 0)
        await office.spool.resume_site(name)
        await office.pass_time(5)
        assert sorted(far.paths) == ["a@far.test", "b@far.test"]


async def test_what_waits_at_a_site_goes_back_when_its_domain_is_suspended_and_others_stay() -> None:
    async with PostOffice(config(connections_per_site=1)) as office:
        big = FakeSmtpServer({"MAIL": [STALL]}, extensions=())
        shared(office, big, "one.test", "two.test")
        for domain in ("one", "one", "two", "one"):
            await office.send(f"a@{domain}.test")
        await office.settle()
        await office.spool.suspend_site(Suspension("one.test", office.clock.now() + 60))
        await office.pass_time(2)
        assert office.window.used_legs == 2  # the one under way, and that for two.test
        await office.pass_time(70)
        big.sessions[0].wire.hang_up()
        await office.pass_time(30)
        assert sorted(path for path in big.paths) == ["a@one.test"] * 3 + ["a@two.test"]


async def test_what_was_suspended_before_the_start_gets_nothing_from_the_first_moment() -> None:
    office, far = PostOffice(), FakeSmtpServer()
    office.server("far.test", far)
    await office.spool.suspend_site(Suspension("far.test", None, "", "root"))
    await office.send("old@far.test", claim=False)
    async with office:
        await office.send("born@far.test")
        await office.settle()
        await office.pass_time(2)
        assert far.sessions == []
        assert len(await office.queued()) == 2


async def test_our_own_mailboxes_can_be_suspended() -> None:
    async with PostOffice() as office:
        await office.spool.suspend_site(Suspension("local", None, "the disk is being changed", "root"))
        await office.pass_time(2)
        letter = await office.send("alice@example.test")
        await office.send("alice@example.test", claim=False)
        await office.pass_time(2)
        assert office.mailbox("alice@example.test") == []
        assert (await office.queued(letter))[0].legs[0].attempts == 0
        await office.spool.suspend_site(Suspension("mx:far.test", None, "", "root"))
        await office.spool.resume_site("local")
        await office.pass_time(3)
        assert len(office.mailbox("alice@example.test")) == 2


async def test_a_start_does_not_fail_because_nobody_knows_what_is_suspended() -> None:
    office, far = PostOffice(), FakeSmtpServer()
    office.server("far.test", far)
    office.spool.fail_next("suspensions", SpoolFailed("disk"))
    async with office:
        await office.send("a@far.test")
        await office.settle()
        assert far.paths == ["a@far.test"]


async def test_a_suspended_host_is_told_once_and_its_kept_connections_close() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await office.send("a@far.test")
        await office.settle()
        await office.spool.suspend_site(Suspension("mx0.far.test", None, "", "root"))
        await office.pass_time(3)
        assert far.sessions[0].quit
        assert [event.what for event in office.events.of(SiteState)] == ["suspended"]
        assert office.events.of(SiteState)[0].reason == "nothing is sent there for now"  # a sender may read it
