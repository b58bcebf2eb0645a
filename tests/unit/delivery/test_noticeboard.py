"""What a worker tells people of its sites: when it changes, when it lasts, and never more than a few rows."""

from __future__ import annotations

import pytest

from ekiden.config.model import Site as SiteSection
from ekiden.delivery import noticeboard
from ekiden.policy.rest import FIRST
from ekiden.ports.spool import SiteStatus, SpoolFailed, Suspension
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

REFUSED = ConnectFailed("refused", "connection refused")


async def told(office: PostOffice) -> dict[str, SiteStatus]:
    return {status.site: status for status in await office.spool.site_statuses()}


async def resting(office: PostOffice) -> None:
    office.server("far.test", REFUSED)
    await office.send("first@far.test")
    await office.settle()
    await office.pass_time(1)


async def test_a_site_that_rests_is_told_with_its_last_failure_until_it_works() -> None:
    async with PostOffice() as office:
        await resting(office)
        status = (await told(office))["mx0.far.test"]
        assert (status.state, status.next_hops, status.connections) == ("resting", ["mx:far.test"], 20)
        assert "connection refused" in status.reason
        assert status.until is not None
        assert 0 < status.until - office.clock.now() < FIRST * 1.2
        for _ in range(3):  # while it is probed, it is told as it was
            await office.send("more@far.test", claim=False)
            await office.pass_time(FIRST)
            assert (await told(office))["mx0.far.test"].state == "resting"
        later = (await told(office))["mx0.far.test"]
        assert later.since == status.since
        assert later.until is not None
        assert later.until > office.clock.now()
        office.connector.targets[Endpoint("20.0.0.1", 25)] = FakeSmtpServer()
        await office.pass_time(FIRST * 10)
        assert await told(office) == {}


async def test_nothing_is_written_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice() as office:
        await resting(office)
        calls = []
        tell = office.spool.tell_sites

        async def count(changed, gone):  # type: ignore[no-untyped-def]
            calls.append(list(changed))
            await tell(changed, gone)

        monkeypatch.setattr(office.spool, "tell_sites", count)
        await office.pass_time(FIRST - 3)
        assert calls == []


async def test_a_suspended_host_names_the_domains_that_it_keeps_waiting() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer())
        await office.spool.suspend_site(Suspension("mx0.far.test", None, "they asked", "root"))
        await office.pass_time(2)
        await office.send("a@far.test")
        await office.pass_time(2)
        status = (await told(office))["mx0.far.test"]
        assert (status.state, status.next_hops, status.until) == ("suspended", ["mx:far.test"], None)
        assert "they asked" in status.reason
        assert "root" not in status.reason  # the sender's report has it
        await office.spool.resume_site("mx0.far.test")
        await office.pass_time(2)
        assert await told(office) == {}


async def test_limits_are_told_when_they_last() -> None:
    settings = config(sites=[SiteSection(match="far.test", connections=1)])
    async with PostOffice(settings) as office:
        office.server("far.test", FakeSmtpServer({"CONNECT": STALL}))
        for number in range(5):
            await office.send(f"{number}@far.test")
        await office.pass_time(noticeboard.SETTLED - 1)
        assert await told(office) == {}
        await office.pass_time(3)
        ((name, status),) = (await told(office)).items()
        assert (status.state, status.connections) == ("limits", 1)
        assert "in use: 1" in status.reason
        assert name.startswith("mx0.far.test")


async def test_a_rate_that_is_used_up_is_told() -> None:
    settings = config(sites=[SiteSection(match="far.test", letters_per_minute=6)])
    async with PostOffice(settings) as office:
        office.server("far.test", FakeSmtpServer())
        for number in range(50):
            await office.send(f"{number}@far.test")
        await office.pass_time(6)
        (status,) = (await told(office)).values()
        assert (status.state, status.reason) == ("limits", "its 6 letters a minute are used up")


async def test_slots_that_other_workers_have_are_told() -> None:
    settings = config(sites=[SiteSection(match="far.test", connections=1)])
    async with PostOffice(settings, workers=2) as office, PostOffice(settings, beside=office, workers=2) as other:
        office.server("far.test", FakeSmtpServer({".": STALL}))
        await office.send("a@far.test")
        await office.settle()
        await other.send("b@far.test")
        for _ in range(5):
            await office.pass_time(1)
            other.delivery.tick(other.clock.monotonic())
            await other.settle()
        assert [status.state for status in await other.spool.site_statuses()] == ["slots"]


async def test_a_store_that_fails_is_told_again() -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED)
        for _ in range(2):
            office.spool.fail_next("tell_sites", SpoolFailed("disk"))
        await office.send("first@far.test")
        await office.settle()
        await office.pass_time(2)
        assert await told(office) == {}
        await office.pass_time(2)
        assert set(await told(office)) == {"mx0.far.test"}


async def test_no_more_rows_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noticeboard, "MOST_SITES", 7)
    monkeypatch.setattr(noticeboard, "AT_ONCE", 3)
    monkeypatch.setattr(noticeboard, "MOST_KEYS", 5)
    async with PostOffice() as office:
        for number in range(12):
            office.server(f"far{number}.test", REFUSED)
            await office.send(f"a@far{number}.test")
        await office.settle()
        await office.pass_time(1)
        assert len(await told(office)) == 3
        await office.pass_time(4)
        assert len(await told(office)) == 7
        assert sum(len(status.next_hops) for status in (await told(office)).values()) <= 5
