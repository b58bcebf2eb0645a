"""Letters that nobody tries, because their sites take none, are reported and expire in time."""

from __future__ import annotations

import pytest

from ekiden.config.model import Route
from ekiden.delivery import sweep
from ekiden.model.envelope import Notify
from ekiden.ports.spool import Suspension
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config, wishes

SOON = config(delay_report_after=100.0, expire_after=1000.0)


async def suspend(office: PostOffice, site: str = "far.test") -> None:
    await office.spool.suspend_site(Suspension(site, None, "they asked", "root"))
    await office.pass_time(2)


@pytest.mark.parametrize("site", ["far.test", "mx0.far.test"])
async def test_letters_of_a_suspended_site_are_reported_once_and_expire(site: str) -> None:
    async with PostOffice(SOON) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await suspend(office, site)
        letter = await office.send("late@far.test", claim=False)
        await office.pass_time(150)
        assert office.reports == [("delayed", "alice@example.test")]
        (leg,) = (await office.queued(letter))[0].legs
        assert (leg.attempts, leg.recipients[0].delay_reported) == (0, True)
        await office.pass_time(800, step=4)
        assert len(office.reports) == 1
        await office.pass_time(150)
        assert await office.queued(letter) == []
        assert await office.kinds(letter) == ["delayed", "failed"]
        assert [kind for kind, _ in office.reports] == ["delayed", "failed"]
        report = office.mailbox("alice@example.test")[-1]
        assert b"they asked" in report
        assert b"root" not in report
        assert far.sessions == []


async def test_letters_of_a_site_that_rests_are_reported_in_time_while_it_rests_long() -> None:
    async with PostOffice(config(delay_report_after=2000.0)) as office:
        office.server("far.test", ConnectFailed("refused", "connection refused"))
        await office.send("first@far.test")
        await office.pass_time(1500, step=2)  # by now it rests for a quarter of an hour
        letters = [await office.send(f"{number}@far.test", claim=False) for number in range(3)]
        await office.pass_time(2100, step=2)
        for letter in letters:
            assert [kind for kind in await office.kinds(letter) if kind != "delayed"] == []
            assert (await office.queued(letter))[0].legs[0].recipients[0].delay_reported
        assert office.reports == [("delayed", "alice@example.test")] * 4


async def test_deep_in_a_backlog_everybody_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 7)
    async with PostOffice(SOON) as office, PostOffice(SOON, beside=office) as other:
        office.server("far.test", FakeSmtpServer())
        await suspend(office)
        other.delivery.tick(other.clock.monotonic())
        await other.settle()
        letters = [await office.send(f"{number}@far.test", claim=False) for number in range(40)]
        for _ in range(130):
            await office.pass_time(1)
            other.delivery.tick(other.clock.monotonic())
            await other.settle()
        reports = office.reports + other.reports
        assert reports == [("delayed", "alice@example.test")] * 40
        assert [await office.kinds(letter) for letter in letters] == [["delayed"]] * 40
        assert office.window.used_legs == other.window.used_legs == 0


async def test_who_wants_no_report_is_not_asked_again_and_again() -> None:
    async with PostOffice(SOON) as office:
        office.server("far.test", FakeSmtpServer())
        await suspend(office)
        quiet = await office.send(wishes("a@far.test", Notify.NEVER), claim=False)
        null = await office.send("a@far.test", reverse_path="", claim=False)
        await office.pass_time(500, step=2)
        assert office.reports == []
        assert [await office.kinds(letter) for letter in (quiet, null)] == [["delayed"], ["delayed"]]


async def test_what_goes_another_way_by_now_is_tried_instead() -> None:
    """It was stored under a next hop that is suspended, but the configuration has changed since."""
    async with PostOffice(SOON) as office:
        office.server("far.test", FakeSmtpServer())
        smarthost = FakeSmtpServer()
        office.connector.targets[Endpoint("10.0.0.9", 25)] = smarthost
        await suspend(office)
        letter = await office.send("a@far.test", claim=False)
        await office.pass_time(2)
        route = Route(match="far.test", to=("smtp://10.0.0.9:25",), name="out")
        office.delivery.reconfigure(config(route, delay_report_after=100.0), {})
        await office.pass_time(20)
        assert smarthost.paths == []  # a next hop that is suspended is not claimed
        await office.pass_time(150)
        assert smarthost.paths == ["a@far.test"]
        assert await office.queued(letter) == []


async def test_it_goes_when_its_site_does_again() -> None:
    async with PostOffice(SOON) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await suspend(office)
        await office.send("late@far.test", claim=False)
        await office.pass_time(150)
        await office.spool.resume_site("far.test")
        await office.pass_time(3)
        assert far.paths == ["late@far.test"]
        assert office.connector.targets[Endpoint("20.0.0.1", 25)] is far
