"""spool.brake: from a theft to held letters and people who know, with two workers and a controlled clock."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.config.model import Brake as Rules
from ekiden.config.model import Config, Domain
from ekiden.model.events import AttemptFinished, BrakeSet, LetterAccepted, LoginSucceeded, NoticeSent, RecipientRefused
from ekiden.model.habits import Sighting
from ekiden.ports.spool import Selection, SpoolFailed
from ekiden.spool.brake import HOLD, SOONER, UNTOLD_AFTER, WRITE_SECONDS, Brake, BrakeTools, Overhearing
from ekiden.spool.notices import Notices
from ekiden.storage.memory.habit_book import MemoryHabitBook
from ekiden.storage.memory.notice_book import MemoryNoticeBook
from ekiden.storage.memory.spool import MemorySpool
from tests.contract.spool_house import leg, put
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink

YOU = "you@example.test"
HOME, AWAY = "192.0.2.7", "198.51.100.9"
DAY = 86_400


class House:
    """Several workers of one server."""

    def __init__(self, rules: Rules | None = None, workers: int = 2):
        self.clock = FakeClock()
        self.book = MemoryHabitBook()
        self.notices = MemoryNoticeBook()
        self.sink = CollectingSink()
        self.tasks: list[asyncio.Task[None]] = []
        self.config = Config(
            hostname="mail.example.test",
            data_dir="/x",
            domain=(Domain(name="example.test"),),
            brake=rules or Rules(),
        )
        self.spool = MemorySpool(self.clock)
        self.workers = [self.open(self.spool)]
        for number in range(2, workers + 1):
            self.workers.append(self.open(MemorySpool(self.clock, number, shared=self.spool)))

    def open(self, spool):
        notices = Notices(spool, self.notices, self.clock, self.sink, lambda: None)
        notices.configure(self.config)
        brake = Brake(BrakeTools(self.book, spool, notices, self.clock, self.sink), self.spawn)
        brake.configure(self.config)
        return brake

    def spawn(self, work, where):
        self.tasks.append(asyncio.ensure_future(work))

    async def rest(self, seconds=0.0):
        """All workers tick, and what that began is done."""
        self.clock.advance(seconds)
        for worker in self.workers:
            worker.tick(self.clock.monotonic())
        while self.tasks:
            await self.tasks.pop()

    async def live(self, days=30, letters=4):
        """An ordinary life: four letters a day from home, spread over the workers."""
        for _ in range(days):
            for number in range(letters):
                self.workers[number % len(self.workers)].letter(YOU, HOME, 1, int(number == 0))
            await self.rest(WRITE_SECONDS)
            self.clock.advance(DAY - WRITE_SECONDS)

    async def letters_to(self, path):
        found = await self.spool.find(Selection())
        return [one for one in found if one.legs[0].recipients[0].forward_path == path]


@pytest.fixture
def house():
    return House()


async def test_a_theft_is_held_everywhere_and_told_once(house):
    await house.live()
    waiting = await put(house.spool, leg("x@far.test"), claim=False, reverse_path=YOU, **origin(YOU))
    others = await put(house.spool, leg("y@far.test"), claim=False, **origin("bob@example.test"))
    one, other = house.workers
    for _ in range(60):
        one.letter(YOU, AWAY, 1, 1)
        other.letter(YOU, AWAY, 1, 1)
    await house.rest(WRITE_SECONDS)
    await house.rest(WRITE_SECONDS)
    await house.rest(2)
    told = house.sink.one(BrakeSet)
    assert told.account == YOU
    assert {"new-network", "volume"} <= set(told.signals)
    assert one.why_held(YOU) == other.why_held(YOU) == HOLD + told.reason
    assert one.why_held("bob@example.test") == ""
    (held,) = await house.spool.find(Selection(state="held"))
    assert (held.letter, held.legs[0].hold_reason) == (waiting, HOLD + told.reason)
    assert [(event.kind, event.to) for event in house.sink.of(NoticeSent)] == [
        ("brake", "postmaster@example.test"),
        ("brake-owner", YOU),
    ]
    (found,) = await house.letters_to("postmaster")
    content = (await house.spool.content(found.letter)).octets.decode()
    assert told.reason[:40] in content
    assert f"ekiden brake release {YOU}" in content
    assert (await house.book.habits(YOU)).told
    assert others in [queued.letter for queued in await house.spool.find(Selection(state="waiting"))]


def origin(account):
    from ekiden.model.envelope import Origin

    return {"origin": Origin(door="submission", account=account)}


class SlowBook(MemoryHabitBook):
    """Others come in between."""

    async def change(self, changes, now):
        await asyncio.sleep(0)
        await super().change(changes, now)


async def test_two_workers_that_decide_at_once_tell_it_once(house):
    await house.live()
    slow = SlowBook()
    slow._rows = house.book._rows
    house.book = slow
    workers = [house.open(house.spool), house.open(house.spool)]
    seen = {YOU: Sighting(150, 150, 0, {"198.51.100.0/24": 150})}
    await asyncio.gather(*[worker.learn(seen) for worker in workers])
    assert len(house.sink.of(BrakeSet)) == 1
    while house.tasks:
        await house.tasks.pop()


async def test_a_flood_does_not_wait_for_the_next_write(house):
    await house.live()
    one, _ = house.workers
    sent = 0
    while not one.why_held(YOU):
        one.letter(YOU, AWAY, 1, 1)
        sent += 1
        while house.tasks:
            await house.tasks.pop()
    assert sent <= 100 + SOONER


async def test_a_worker_that_starts_knows_who_is_braked(house):
    await house.live()
    await theft(house)
    late = house.open(MemorySpool(house.clock, 9, shared=house.spool))
    await late.prepare()
    assert late.why_held(YOU)


async def theft(house):
    house.workers[0].letter(YOU, AWAY, 150, 150)
    await house.rest(WRITE_SECONDS)
    assert house.sink.of(BrakeSet)


async def test_the_owner_goes_on_when_the_brake_is_lifted(house):
    await house.live()
    await theft(house)
    await house.rest(2)

    def lift(habits):
        habits.braked = 0.0
        return habits

    await house.book.change({YOU: lift}, house.clock.now())
    await house.rest(2)
    assert [worker.why_held(YOU) for worker in house.workers] == ["", ""]


async def test_what_could_not_be_told_is_told_later_by_whoever_looks(house):
    await house.live()
    house.spool.fail_next("begin", SpoolFailed("no space", full=True))
    await theft(house)
    assert house.sink.of(NoticeSent) == []
    await house.rest(UNTOLD_AFTER + 1)
    assert [event.kind for event in house.sink.of(NoticeSent)] == ["brake", "brake-owner"]
    await house.rest(UNTOLD_AFTER + 1)
    assert len(house.sink.of(NoticeSent)) == 2


@pytest.mark.parametrize("rules", [Rules(enabled=False), Rules(exempt=("You@EXAMPLE.test",))])
async def test_whom_the_postmaster_exempts_is_learned_and_never_held(rules):
    house = House(rules)
    await house.live()
    house.workers[0].letter(YOU, AWAY, 150, 150)
    await house.rest(WRITE_SECONDS)
    await house.rest(WRITE_SECONDS)
    assert house.sink.of(BrakeSet) == []
    assert not house.workers[0].why_held(YOU)
    assert (await house.book.habits(YOU)).recent


async def test_a_store_that_fails_brakes_nobody_and_releases_nobody(house):
    await house.live()
    house.book.fail = True
    house.workers[0].letter(YOU, AWAY, 150, 150)
    await house.rest(WRITE_SECONDS)
    assert house.sink.of(BrakeSet) == []
    await theft(house)
    for _ in range(3):
        house.book.fail = True
        await house.rest(2)
        assert house.workers[0].why_held(YOU)


async def test_what_was_seen_last_is_written_at_the_end(house):
    house.workers[0].letter(YOU, HOME, 1, 0)
    await house.workers[0].aclose()
    assert (await house.book.habits(YOU)).recent[0].letters == 1


async def test_events_are_overheard_and_go_on(house):
    brake, sink = house.workers[0], CollectingSink()
    ear = Overhearing(sink, brake)
    common = {"session": "s", "door": "submission", "client": AWAY}
    refusal = {**common, "reverse_path": "", "forward_path": "x", "reply": "550 no"}
    events = [
        LetterAccepted(letter="l", account=YOU, client=AWAY, recipient_count=3, first_time=2),
        LetterAccepted(letter="m", client=AWAY, recipient_count=3),
        LoginSucceeded(**common | {"client": HOME}, account=YOU, mechanism="PLAIN"),
        AttemptFinished(letter="l", leg=0, attempt=1, next_hop="mx:x", outcomes={"failed": 2}, account=YOU),
        AttemptFinished(letter="l", leg=0, attempt=1, next_hop="mx:x", outcomes={"relayed": 2}, account=YOU),
        RecipientRefused(**refusal, account=YOU, rule="own-domain-unknown"),
        RecipientRefused(**refusal, account=YOU, rule="first-time-recipients"),
        RecipientRefused(**refusal, rule="own-domain-unknown"),
    ]
    for event in events:
        ear.emit(event)
    assert sink.events == events
    assert brake._seen == {YOU: Sighting(1, 3, 3, {"198.51.100.0/24": 2, "192.0.2.0/24": 0})}
