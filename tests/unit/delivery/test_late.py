"""Letters that wait behind limits: their senders are told in time, by codes that say why; nothing counts as an attempt
that was none."""

from __future__ import annotations

import pytest

from ekiden.config.model import Site
from ekiden.delivery.barrier import Bar, Barrier, NotNow
from ekiden.model.events import AttemptSkipped
from ekiden.ports.spool import Suspension
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

SLOW = Site(match="far.test", letters_per_minute=1)
SOON = {"delay_report_after": 100.0, "expire_after": 1000.0}


def attempts(office: PostOffice) -> int:
    """Finished, but for the reports that we deliver ourselves."""
    return sum(event.next_hop != "local" for event in office.attempts)


async def test_who_waits_behind_the_rate_of_a_site_is_told_and_expires() -> None:
    async with PostOffice(config(sites=[SLOW], **SOON)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        letters = [await office.send(f"{n}@far.test") for n in range(30)]
        await office.pass_time(150)
        told = len(office.reports)
        assert 20 < 30 - len(far.letters) <= told < 30
        last = await office.outcomes(letters[-1])
        assert [(o.kind, o.status) for o in last] == [("delayed", "4.4.5")]
        assert last[0].text == "its 1 letters a minute are used up"
        assert attempts(office) == len(far.letters)
        assert len(office.events.of(AttemptSkipped)) == told
        await office.pass_time(900, step=2)
        assert await office.kinds(letters[-1]) == ["delayed", "failed"]
        assert await office.queued() == []
        assert attempts(office) == len(far.letters)


async def test_who_is_put_off_for_a_clogged_site_is_told() -> None:
    async with PostOffice(config(window_letters=20, connections_per_site=1, **SOON)) as office:
        office.server("slow.test", FakeSmtpServer({"CONNECT": STALL}))
        letters = [await office.send(f"{number}@slow.test", claim=False) for number in range(40)]
        await office.pass_time(500)
        assert len(office.reports) == 40
        assert (await office.outcomes(letters[-1]))[0].status.startswith("4.4.")
        assert all(leg.recipients[0].delay_reported for one in await office.queued() for leg in one.legs)


async def test_what_a_person_suspended_is_told_by_a_code_of_its_own() -> None:
    async with PostOffice(config(**SOON)) as office:
        office.server("far.test", FakeSmtpServer())
        await office.spool.suspend_site(Suspension("far.test", None, "they asked", "root"))
        await office.pass_time(2)
        letter = await office.send("late@far.test", claim=False)
        await office.pass_time(150)
        (outcome,) = await office.outcomes(letter)
        assert (outcome.status, outcome.text) == ("4.3.2", "nothing is sent there for now: they asked")
        assert attempts(office) == 0
        event = office.events.one(AttemptSkipped)
        assert (event.outcomes, event.next_hop) == ({"delayed": 1}, "mx:far.test")
        assert event.next_attempt > 0


async def test_a_rest_is_told_by_what_it_came_from() -> None:
    barrier = Barrier()
    barrier.fail("451 4.7.5 mx.far.test: the certificate is too old", 0.0, 0.0)
    assert barrier.not_now.status == "4.7.5"
    assert barrier.not_now.text.endswith("451 4.7.5 mx.far.test: the certificate is too old")
    barrier.lacks_slot()
    assert barrier.not_now == NotNow("4.4.5", "all connections that the site may have are in use by other workers")
    assert barrier.bar is Bar.SLOTS


async def test_who_has_the_letter_already_does_not_get_it_again_when_a_site_is_suspended() -> None:
    """Two transactions for one leg: one was taken, for the other the rate leaves none."""
    sites = [Site(match="far.test", letters_per_minute=1, recipients_per_transaction=1)]
    async with PostOffice(config(sites=sites)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        letter = await office.send("a@far.test", "b@far.test")
        await office.settle()
        while len(far.letters) < 1:
            await office.pass_time(1)
        assert len(far.letters) == 1
        await office.spool.suspend_site(Suspension("far.test", None, "", "root"))
        await office.pass_time(2)
        assert sorted(await office.kinds(letter)) == ["delayed", "relayed"]
        await office.spool.resume_site("far.test")
        await office.pass_time(1200, step=5)
        assert sorted(far.paths) == ["a@far.test", "b@far.test"]
        assert await office.queued() == []


async def test_a_worker_without_a_connection_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice() as office:
        monkeypatch.setattr(office.delivery._budget, "_limit", 1)
        office.server("slow.test", FakeSmtpServer({".": STALL}))
        office.server("far.test", FakeSmtpServer())
        await office.send("a@slow.test")
        await office.settle()
        await office.send("b@far.test")
        await office.pass_time(6)
        states = {status.site: (status.state, status.reason) for status in await office.spool.site_statuses()}
        said = "all connections that this server can have are in use, by other sites"
        assert states["mx0.far.test"] == ("crowded", said)
