"""Use cases around the queue: looking changes nothing, steering says who, removal ends at the spool's one door."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.admin.queue import NoSuchLetter, QueueView
from ekiden.admin.steering import QueueDesk, Reporting
from ekiden.config.model import Config
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.events import QueueChanged
from ekiden.model.ids import IdSequence, Incarnation, LetterId, render_id
from ekiden.model.outcome import OutcomeKind
from ekiden.ports.spool import Selection
from ekiden.storage.memory.spool import MemorySpool
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink


class Desk:
    """A worker's spool, and a second one on the same store for the command."""

    def __init__(self):
        self.clock, self.sink = FakeClock(), CollectingSink()
        self.worker = MemorySpool(self.clock)
        self.spool = MemorySpool(self.clock, incarnation=Incarnation(2), shared=self.worker)
        self.view = QueueView(self.spool)
        reporting = Reporting(Config(hostname="mail.example.test", data_dir=Path("data")), FakeRandom(), IdSequence(2))
        self.use = QueueDesk(self.spool, self.sink, self.clock, reporting, by="root")

    async def queue(self, *hops: str, claim: bool = False, message_id: str = "") -> LetterId:
        draft = self.worker.begin()
        draft.write(b"Subject: x\r\n\r\nbody\r\n")
        envelope = Envelope("a@example.test", self.clock.now(), Origin(), message_id=message_id)
        legs = [NewLeg(hop, [Recipient(f"to@{hop.removeprefix('mx:')}")]) for hop in hops]
        await self.worker.accept(draft, envelope, legs, claim=claim)
        return draft.letter


async def test_story_of_a_queued_letter():
    desk = Desk()
    letter = await desk.queue("mx:far.test")
    story = await desk.view.story(letter)
    assert story.queued is not None
    assert [leg.next_hop for leg in story.queued.legs] == ["mx:far.test"]
    assert story.trail == []
    assert [x.letter for x in await desk.view.letters(Selection())] == [letter]
    assert (await desk.view.counts())["letters"] == 1
    assert (await (await desk.view.content(letter)).head(10)) == b"Subject: x"


@pytest.mark.parametrize("text", ["<m1@example.test>", "m1@example.test", " <m1@example.test> "])
async def test_trace_by_message_id(text):
    desk = Desk()
    letter = await desk.queue("mx:far.test", message_id="<m1@example.test>")
    assert [story.letter for story in await desk.view.trace(text)] == [letter]


async def test_trace_by_id_after_the_letter_has_gone():
    desk = Desk()
    letter = await desk.queue("mx:far.test")
    await desk.use.remove(Selection(letter=letter))
    (story,) = await desk.view.trace(render_id(letter).upper())
    assert story.queued is None
    (entry,) = story.trail
    assert [(o.kind, o.text) for o in entry.outcomes] == [(OutcomeKind.REMOVED, "removed by root")]
    assert entry.attempt == 0, "a removal is no attempt"


async def test_what_nobody_knows():
    desk = Desk()
    nobody = LetterId(4711)
    for call in (
        desk.view.story(nobody),
        desk.view.trace(render_id(nobody)),
        desk.view.trace("<none@example.test>"),
        desk.view.content(nobody),
        desk.use.retry(Selection(letter=nobody)),
        desk.use.remove(Selection(letter=nobody)),
    ):
        with pytest.raises(NoSuchLetter):
            await call
    assert desk.sink.events == []


async def test_retry_of_one_letter_and_of_all():
    desk = Desk()
    first, second = await desk.queue("mx:far.test", "mx:near.test"), await desk.queue("mx:far.test")
    for claims in (await desk.worker.claim(desk.clock.now(), 10),):
        await desk.worker.release(claims, desk.clock.now() + 3600)
    assert await desk.use.retry(Selection(letter=first)) == 2
    assert {claim.letter for claim in await desk.worker.claim(desk.clock.now(), 10)} == {first}
    assert await desk.use.retry(Selection()) == 1
    told = [(e.action, e.letter, e.by, e.legs) for e in desk.sink.of(QueueChanged)]
    assert told == [("retry", render_id(first), "root", 2), ("retry", "all", "root", 1)]
    assert {claim.letter for claim in await desk.worker.claim(desk.clock.now(), 10)} == {second}


async def test_remove_takes_every_leg_and_says_who():
    desk = Desk()
    letter = await desk.queue("mx:far.test", "mx:near.test")
    assert await desk.use.remove(Selection(letter=letter)) == (2, 0)
    assert await desk.view.letters(Selection()) == []
    event = desk.sink.one(QueueChanged)
    assert (event.action, event.letter, event.by, event.legs) == ("remove", render_id(letter), "root", 2)


async def test_remove_leaves_alone_what_a_worker_is_trying():
    desk = Desk()
    letter = await desk.queue("mx:far.test", claim=True)
    assert await desk.use.remove(Selection(letter=letter)) == (0, 1)
    assert (await desk.view.story(letter)).queued is not None
    assert desk.sink.events == []
