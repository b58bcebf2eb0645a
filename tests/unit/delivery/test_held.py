"""Letters that a rule holds go back in the end; what a person holds stays."""

from __future__ import annotations

from ekiden.delivery.held import PAUSE
from ekiden.model.envelope import HELD_BY
from ekiden.model.events import HoldExpired
from ekiden.ports.spool import Selection, Steer
from tests.fakes.smtp_server import FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

DAY = 86_400.0


async def hold(office: PostOffice, letter: int, reason: str) -> None:
    now = office.clock.now()
    assert await office.spool.apply(Selection(letter=letter), Steer.HOLD, now=now, reason=reason)


async def test_what_nobody_decides_about_goes_back_with_the_reason() -> None:
    async with PostOffice(config(hold_expire=3 * DAY)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        office.window.close()  # nothing is tried before it is held
        brake = await office.send("x@far.test", "y@far.test", claim=False)
        person = await office.send("z@far.test", claim=False)
        stranger = await office.send("bob@example.test", reverse_path="", claim=False)
        await hold(office, brake, "brake: a new network")
        await hold(office, person, f"{HELD_BY}root: asked the sender")
        await hold(office, stranger, "content rule macros: a.docm")
        office.window._closed = False
        await office.pass_time(3 * DAY - 2 * PAUSE, step=PAUSE)
        assert {queued.letter for queued in await office.queued()} == {brake, person, stranger}
        await office.pass_time(4 * PAUSE, step=PAUSE)
        assert [queued.letter for queued in await office.queued()] == [person]
        assert await office.kinds(brake) == ["failed", "failed"]
        assert office.reports == [("failed", "alice@example.test")]
        assert office.withheld == ["bob@example.test"]
        (report,) = office.mailbox("alice@example.test")
        assert b"held for 3 days, and nobody released it: brake: a new network" in b" ".join(report.split())
        assert sorted(event.reason for event in office.events.of(HoldExpired)) == [
            "brake: a new network",
            "content rule macros: a.docm",
        ]
        assert far.sessions == []


async def test_a_store_that_fails_is_asked_again() -> None:
    from ekiden.ports.spool import SpoolFailed

    async with PostOffice(config(hold_expire=PAUSE)) as office:
        letter = await office.send("alice@example.test", reverse_path="carol@far.test", claim=False)
        await hold(office, letter, "brake: why")
        office.clock.advance(2 * PAUSE)
        office.spool.fail_next("find", SpoolFailed("gone"))
        await office.pass_time(1)
        assert await office.queued(letter)
        await office.pass_time(2 * PAUSE, step=PAUSE)
        assert await office.queued(letter) == []
