"""Steering the queue: every change says who made it, what is held stays, a bounce is a failure like delivery's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.admin import steering
from ekiden.admin.queue import NoSuchLetter
from ekiden.admin.steering import QueueDesk, Reporting
from ekiden.config.model import Config
from ekiden.model.envelope import Envelope, NewLeg, Notify, Origin, Recipient
from ekiden.model.events import QueueChanged, ReportMade, ReportWithheld
from ekiden.model.ids import IdSequence, Incarnation, LetterId, render_id
from ekiden.ports.spool import Selection, SpoolFailed
from ekiden.storage.memory.spool import MemorySpool
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink

CONTENT = b"Subject: x\r\n\r\nbody\r\n"


class Desk:
    """A worker's spool, and a second one on the same store for the command."""

    def __init__(self):
        self.clock, self.sink = FakeClock(), CollectingSink()
        self.worker = MemorySpool(self.clock)
        self.spool = MemorySpool(self.clock, incarnation=Incarnation(2), shared=self.worker)
        config = Config(hostname="mail.example.test", data_dir=Path("data"))
        reporting = Reporting(config, FakeRandom(), IdSequence(2))
        self.use = QueueDesk(self.spool, self.sink, self.clock, reporting, by="root")

    async def queue(self, *hops: str, claim: bool = False, sender: str = "a@far.test", **fields) -> LetterId:
        draft = self.worker.begin()
        draft.write(CONTENT)
        envelope = Envelope(sender, self.clock.now(), Origin(), len(CONTENT), 14, **fields)
        legs = [NewLeg(hop, [Recipient(f"to@{hop.removeprefix('mx:')}")]) for hop in hops or ("mx:one.test",)]
        await self.worker.accept(draft, envelope, legs, claim=claim)
        return draft.letter

    async def queued(self, **fields):
        return [found.letter for found in await self.spool.find(Selection(**fields))]

    def told(self):
        return [(e.action, e.letter, e.by, e.legs, e.selection, e.reason) for e in self.sink.of(QueueChanged)]


async def test_what_is_held_stays_until_it_is_released_and_says_who_held_it():
    desk = Desk()
    letter = await desk.queue()
    assert await desk.use.hold(Selection(letter=letter), "asked the sender") == 1
    desk.clock.advance(999_999)
    assert await desk.worker.claim(desk.clock.now(), 10) == []
    assert await desk.use.retry(Selection()) == 0
    ((leg,),) = [found.legs for found in await desk.spool.find(Selection())]
    assert leg.hold_reason == "held by root: asked the sender"
    assert await desk.use.release(Selection(domain="one.test")) == 1
    assert len(await desk.worker.claim(desk.clock.now(), 10)) == 1
    assert desk.told() == [
        ("hold", render_id(letter), "root", 1, "", "asked the sender"),
        ("release", "all", "root", 1, "domain=one.test", ""),
    ]


async def test_a_change_that_fails_half_way_is_told():
    desk = Desk()
    await desk.queue()

    async def apply(*_, changed, **__):
        changed(1000)
        raise SpoolFailed("disk full")

    desk.spool.apply = apply
    with pytest.raises(SpoolFailed):
        await desk.use.hold(Selection())
    assert [told[3] for told in desk.told()] == [1000]


@pytest.mark.parametrize("action", ["remove", "bounce"])
async def test_only_the_legs_meant_leave_and_those_under_way_are_counted(action):
    desk = Desk()
    both = await desk.queue("mx:one.test", "mx:two.test")
    tried = await desk.queue("mx:one.test", claim=True)
    assert await getattr(desk.use, action)(Selection(next_hop="mx:one.test")) == (1, 1)
    assert await desk.queued(next_hop="mx:one.test") == [tried]
    assert await desk.queued(next_hop="mx:two.test") == [both]
    assert desk.told() == [(action, "all", "root", 1, "next_hop=mx:one.test", "")]


async def test_a_bounce_reports_the_failure_to_the_sender_with_the_reason():
    desk = Desk()
    letter = await desk.queue()
    assert await desk.use.bounce(Selection(letter=letter), "the address is a typing error") == (1, 0)
    (report,) = await desk.spool.find(Selection())
    assert report.envelope.is_report
    assert report.envelope.reverse_path == ""
    assert [(leg.next_hop, leg.recipients[0].forward_path) for leg in report.legs] == [("mx:far.test", "a@far.test")]
    text = await (await desk.spool.content(report.letter)).head(99_999)
    assert b"the address is a typing error" in text
    assert b"Action: failed" in text
    assert CONTENT in text
    assert b"root" not in text, "who works here is nobody else's business"
    (entry,) = await desk.spool.trail(letter)
    assert [o.text for o in entry.outcomes] == ["bounced by root: the address is a typing error"]
    assert (entry.attempt, entry.reports) == (0, [report.letter])
    assert desk.sink.one(ReportMade).to == "a@far.test"
    assert desk.told() == [("bounce", render_id(letter), "root", 1, "", "the address is a typing error")]


@pytest.mark.parametrize("fields", [{"sender": ""}, {"is_report": True}])
async def test_no_report_about_a_report(fields):
    desk = Desk()
    letter = await desk.queue(**fields)
    desk.clock.advance(1)
    assert await desk.use.bounce(Selection(letter=letter)) == (1, 0)
    assert await desk.queued() == []
    assert desk.sink.one(ReportWithheld).letter == render_id(letter)


async def test_who_wants_no_report_gets_none():
    desk = Desk()
    draft = desk.worker.begin()
    legs = [NewLeg("mx:one.test", [Recipient("x@one.test", (Notify.NEVER,)), Recipient("y@one.test")])]
    await desk.worker.accept(draft, Envelope("a@far.test", 0.0, Origin()), legs, claim=False)
    await desk.use.bounce(Selection())
    (report,) = await desk.spool.find(Selection())
    text = await (await desk.spool.content(report.letter)).head(99_999)
    assert (b"y@one.test" in text, b"x@one.test" in text) == (True, False)
    assert desk.sink.one(ReportWithheld).forward_path == "x@one.test"


@pytest.mark.parametrize("action", ["remove", "bounce"])
async def test_everything_is_every_letter_but_the_reports_made_on_the_way(action, monkeypatch):
    monkeypatch.setattr(steering, "PAGE", 4)
    monkeypatch.setattr(steering, "AT_ONCE", 3)
    desk = Desk()
    letters = [await desk.queue() for _ in range(10)]
    assert await getattr(desk.use, action)(Selection()) == (10, 0)
    left = await desk.spool.find(Selection())
    assert not {found.letter for found in left} & set(letters)
    assert len(left) == (10 if action == "bounce" else 0)
    assert [told[3] for told in desk.told()] == [10]


@pytest.mark.parametrize("verb", ["content", "claim_for_removal", "record"])
async def test_a_bounce_that_fails_leaves_the_letter_held_and_tells_what_was_done(verb):
    desk = Desk()
    letters = [await desk.queue() for _ in range(3)]
    await desk.use.hold(Selection())
    desk.spool.fail_next(verb, SpoolFailed("disk full"))
    with pytest.raises(SpoolFailed):
        await desk.use.bounce(Selection())
    await desk.spool.close()
    assert await desk.queued(state="held") == letters[:1]
    assert [(told[0], told[3]) for told in desk.told()] == [("hold", 3), ("bounce", 2)]


@pytest.mark.parametrize("action", ["hold", "release", "retry", "remove", "bounce"])
async def test_a_letter_that_nobody_knows(action):
    desk = Desk()
    with pytest.raises(NoSuchLetter):
        await getattr(desk.use, action)(Selection(letter=LetterId(4711)))
    assert await getattr(desk.use, action)(Selection()) in (0, (0, 0))
    assert desk.sink.events == []


async def test_letters_go_another_way_and_back():
    desk = Desk()
    first = await desk.queue("mx:one.test")
    second = await desk.queue("mx:two.test")
    claimed = await desk.queue("mx:one.test", claim=True)
    to = "smtp://192.0.2.1:25"
    assert await desk.use.reroute(Selection(next_hop="mx:one.test"), to) == 1
    assert await desk.queued(next_hop=f"via:{to}") == [first]
    assert await desk.use.reroute(Selection(letter=second), to) == 1
    assert await desk.use.reroute(Selection(), to) == 0
    assert await desk.use.reroute(Selection(), "") == 2
    assert await desk.queued(next_hop="mx:one.test") == [first, claimed]
    (found,) = await desk.spool.find(Selection(letter=second))
    assert [(leg.next_hop, leg.recipients) for leg in found.legs] == [("mx:two.test", [Recipient("to@two.test")])]
    assert [(e.action, e.letter, e.by, e.legs, e.selection, e.to) for e in desk.sink.of(QueueChanged)] == [
        ("reroute", "all", "root", 1, "next_hop=mx:one.test", to),
        ("reroute", render_id(second), "root", 1, "", to),
        ("reroute", "all", "root", 2, "", "mx"),
    ]


async def test_ways_that_were_one_part_again():
    desk = Desk()
    letter = await desk.queue("mx:one.test", "mx:two.test")
    await desk.use.reroute(Selection(), "lmtp://192.0.2.1:24")
    (found,) = await desk.spool.find(Selection(letter=letter))
    assert [leg.next_hop for leg in found.legs] == ["via:lmtp://192.0.2.1:24"] * 2
    await desk.use.reroute(Selection(), "")
    (found,) = await desk.spool.find(Selection(letter=letter))
    assert [leg.next_hop for leg in found.legs] == ["mx:one.test", "mx:two.test"]


async def test_a_reroute_that_fails_says_what_was_done_until_then():
    desk = Desk()
    await desk.queue()
    desk.spool.fail_next("reroute", SpoolFailed("disk"))
    with pytest.raises(SpoolFailed):
        await desk.use.reroute(Selection(), "smtp://192.0.2.1:25")
    assert desk.told() == []
    with pytest.raises(NoSuchLetter):
        await desk.use.reroute(Selection(letter=LetterId(7)), "smtp://192.0.2.1:25")
