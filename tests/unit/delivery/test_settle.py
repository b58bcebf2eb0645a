"""What an attempt comes to in the store: retries, reports, faults of the store."""

from __future__ import annotations

import itertools

import pytest

from ekiden.delivery import report_letter, settle
from ekiden.model.envelope import Notify
from ekiden.model.events import InternalFault, ReportMade
from ekiden.ports.spool import SpoolFailed
from tests.fakes.smtp_server import FakeSmtpServer
from tests.unit.delivery.letters import CONTENT
from tests.unit.delivery.post_office import PostOffice, config, wishes

LATER = {"RCPT": "450 4.2.1 later"}
NEVER = {"RCPT": "550 5.1.1 nobody"}
HOUR = 3600.0


async def test_pauses_grow_until_it_works() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(dict(LATER))
        office.server("far.test", far)
        letter = await office.send("b@far.test")
        await office.settle()
        await office.pass_time(HOUR, step=30)
        starts = [attempt.next_attempt for attempt in office.attempts]
        pauses = [after - before for before, after in itertools.pairwise(starts)]
        assert len(pauses) >= 2
        assert pauses == sorted(pauses)
        assert [attempt.attempt for attempt in office.attempts] == list(range(1, len(office.attempts) + 1))
        far.script.clear()
        await office.pass_time(2 * HOUR, step=60)
        assert (await office.kinds(letter))[-1] == "relayed"
        assert await office.queued() == []


async def test_one_delay_report_then_failure_when_it_expires() -> None:
    async with PostOffice(config(expire_after=24 * HOUR)) as office:
        office.server("far.test", FakeSmtpServer(dict(LATER)))
        letter = await office.send("b@far.test", wishes("never@far.test", Notify.NEVER))
        await office.settle()
        await office.pass_time(3.9 * HOUR, step=120)
        assert office.reports == []
        await office.pass_time(8 * HOUR, step=120)
        assert office.reports == [("delayed", "alice@example.test")]
        await office.pass_time(13 * HOUR, step=120)
        assert office.reports == [("delayed", "alice@example.test"), ("failed", "alice@example.test")]
        last = (await office.outcomes(letter))[-2:]
        assert [(o.kind, o.status) for o in last] == [("failed", "4.4.7")] * 2
        assert "450 4.2.1 later" in last[0].text
        assert office.withheld == ["never@far.test"]
        assert await office.queued(letter) == []


async def test_the_last_attempt_is_made_at_the_end() -> None:
    async with PostOffice(config(expire_after=700.0)) as office:
        office.server("far.test", FakeSmtpServer(dict(LATER)))
        await office.send("b@far.test")
        await office.settle()
        await office.pass_time(720, step=5)
        # at 0, 300, and 700 seconds instead of 780; then the report
        assert [attempt.outcomes for attempt in office.attempts] == [
            {"delayed": 1},
            {"delayed": 1},
            {"failed": 1},
            {"delivered": 1},
        ]


async def test_a_report_goes_home_as_a_letter_from_nobody() -> None:
    async with PostOffice() as office:
        far, home = FakeSmtpServer(dict(NEVER)), FakeSmtpServer()
        office.server("far.test", far)
        office.server("sender.test", home)
        await office.send("b@far.test", reverse_path="carol@sender.test")
        await office.settle()
        (report,) = home.letters
        assert (report.reverse_path, report.forward_paths) == ("", ["carol@sender.test"])
        assert b"multipart/report" in report.content
        assert b"550 5.1.1 nobody" in report.content
        assert CONTENT in report.content
        made = office.events.one(ReportMade)
        assert made.report != made.letter
        assert any(attempt.letter == made.report for attempt in office.attempts)


async def test_a_letter_and_its_report_keep_their_priority() -> None:
    """RFC 6710 §4: handed on to a server that knows it, and a report is as urgent as what it is about."""
    async with PostOffice() as office:
        far = FakeSmtpServer(dict(NEVER), extensions=["MT-PRIORITY"])
        home = FakeSmtpServer(extensions=["MT-PRIORITY"])
        office.server("far.test", far)
        office.server("sender.test", home)
        await office.send("b@far.test", reverse_path="carol@sender.test", priority=3)
        await office.settle()
        assert "MAIL FROM:<carol@sender.test> MT-PRIORITY=3" in far.lines
        assert "MAIL FROM:<> MT-PRIORITY=3" in home.lines


async def test_a_report_that_fails_is_reported_to_nobody() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(dict(NEVER)))
        office.server("sender.test", FakeSmtpServer({"RCPT": ["450 4.2.1 later", "550 5.1.1 nobody"]}))
        await office.send("b@far.test", reverse_path="carol@sender.test")
        await office.settle()
        (queued,) = await office.queued()
        assert queued.envelope.is_report
        assert queued.envelope.reverse_path == ""
        await office.pass_time(310, step=10)
        assert len(office.reports) == 1
        assert office.withheld == ["carol@sender.test"]
        assert await office.queued() == []


@pytest.mark.parametrize(("reverse_path", "is_report"), [("", False), ("a@x.test", True), ("", True)])
async def test_no_report_about_a_report_but_an_event(reverse_path: str, is_report: bool) -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(dict(NEVER)))
        await office.send("b@far.test", reverse_path=reverse_path, is_report=is_report)
        await office.settle()
        assert office.reports == []
        assert office.withheld == ["b@far.test"]
        assert await office.queued() == []


async def test_success_is_reported_unless_the_peer_does_it() -> None:
    async with PostOffice() as office:
        office.server("plain.test", FakeSmtpServer())
        office.server("dsn.test", FakeSmtpServer(extensions=("DSN",)))
        await office.send(wishes("b@dsn.test", Notify.SUCCESS))
        await office.settle()
        assert office.reports == []
        await office.send(wishes("b@plain.test", Notify.SUCCESS))
        await office.settle()
        assert office.reports == [("relayed", "alice@example.test")]


async def test_a_store_that_fails_is_asked_again_and_the_letter_is_not_sent_twice() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        letter = await office.send("b@far.test")
        office.spool.fail_next("record", SpoolFailed("disk full"))
        office.spool.fail_next("record", SpoolFailed("disk full"))
        await office.settle()
        assert office.window.used_legs == 1
        await office.pass_time(settle.PAUSE * 2 + 1)
        assert await office.kinds(letter) == ["relayed"]
        assert len(far.letters) == 1
        assert office.window.used_legs == 0
        assert office.events.of(InternalFault)[0].where == "delivery.store"


async def test_a_lost_claim_makes_no_report() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(dict(NEVER)))
        await office.send("b@far.test")
        office.spool._free(office.spool.incarnation)  # as if the supervisor had taken us for dead
        await office.settle()
        assert office.delivery._settler.lost_claims == 1
        assert len(office.reports) == 1  # of the attempt that came after


async def test_a_report_that_cannot_be_built_is_withheld_with_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(report_letter, "build_report", broken)
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(dict(NEVER)))
        letter = await office.send("b@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["failed"]
        assert office.withheld == ["b@far.test"]
        office.events.one(InternalFault)


async def test_content_that_cannot_be_read_for_a_report_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(dict(NEVER)))
        from ekiden.storage.memory.content import MemoryContent

        head = MemoryContent.head
        failures = [SpoolFailed("not now")]

        async def sometimes(self: MemoryContent, limit: int) -> bytes:
            if failures:
                raise failures.pop()
            return await head(self, limit)

        monkeypatch.setattr(MemoryContent, "head", sometimes)
        letter = await office.send("b@far.test")
        await office.settle()
        assert office.reports == []
        await office.pass_time(settle.PAUSE + 1)
        assert office.reports == [("failed", "alice@example.test")]
        assert await office.kinds(letter) == ["failed"]
