"""admin.brakes: what the brake held goes its way or back, and the account sends again."""

from __future__ import annotations

import pytest

from ekiden.accounts.refusal import Refused
from ekiden.admin.brakes import HEARD_WITHIN, Books, BrakeDesk
from ekiden.admin.steering import QueueDesk, Reporting
from ekiden.config.model import Config, Domain
from ekiden.model.envelope import Origin
from ekiden.model.events import BrakeLifted, ReportMade
from ekiden.model.ids import IdSequence
from ekiden.policy.brake import new_habits, set_brake
from ekiden.ports.spool import Selection
from ekiden.spool.brake import HOLD, NOTICES
from ekiden.storage.memory.habit_book import MemoryHabitBook
from ekiden.storage.memory.notice_book import MemoryNoticeBook
from ekiden.storage.memory.spool import MemorySpool
from tests.contract.spool_house import leg, put
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink

YOU = "alice@example.test"
CONFIG = Config(hostname="mail.example.test", data_dir="/x", domain=(Domain(name="example.test"),))


class Office:
    def __init__(self):
        self.clock = FakeClock()
        self.spool = MemorySpool(self.clock)
        self.sink = CollectingSink()
        self.habits, self.notices = MemoryHabitBook(), MemoryNoticeBook()
        self.slept = []
        reporting = Reporting(CONFIG, FakeRandom(), IdSequence(1))
        queue = QueueDesk(self.spool, self.sink, self.clock, reporting, by="root")
        books = Books(self.habits, self.notices)
        self.desk = BrakeDesk(books, queue, self.clock, self.sink, self.sleep, by="root")

    async def sleep(self, seconds):
        """Meanwhile a worker that has not heard yet holds one more."""
        self.slept.append(seconds)
        await put(self.spool, leg("late@far.test", hold_reason=HOLD + "why"), claim=False)

    async def brake(self):
        def change(_):
            habits = new_habits(self.clock.now())
            set_brake(habits, "why", self.clock.now())
            return habits

        await self.habits.change({YOU: change}, self.clock.now())
        await put(self.spool, leg("x@far.test", hold_reason=HOLD + "why"), claim=False)
        await put(self.spool, leg("y@far.test", hold_reason="content rule macros: a.docm"), claim=False)
        bob = Origin(account="bob@example.test")
        await put(self.spool, leg("z@far.test", hold_reason=HOLD + "why"), claim=False, origin=bob)

    async def recipients(self, state):
        found = await self.spool.find(Selection(state=state))
        return sorted(one.legs[0].recipients[0].forward_path for one in found)


@pytest.fixture
async def office():
    made = Office()
    await made.brake()
    return made


async def test_released_letters_go_their_way_and_later_ones_too(office):
    for kind in NOTICES:
        await office.notices.take(kind, YOU, office.clock.now(), 86_400)
    assert list(await office.desk.braked()) == [YOU]
    assert await office.desk.release(YOU) == 2
    assert office.slept == [HEARD_WITHIN]
    assert await office.recipients("waiting") == ["late@far.test", "x@far.test"]
    assert await office.recipients("held") == ["y@far.test", "z@far.test"]
    assert await office.desk.braked() == {}
    lifted = office.sink.one(BrakeLifted)
    assert (lifted.account, lifted.action, lifted.by) == (YOU, "release", "root")
    for kind in NOTICES:
        assert await office.notices.take(kind, YOU, office.clock.now(), 86_400), "who is braked again is told again"


async def test_bounced_letters_go_back(office):
    assert (await office.desk.bounce(YOU)).legs == 2
    assert await office.recipients("held") == ["y@far.test", "z@far.test"]
    assert [report.to for report in office.sink.of(ReportMade)] == [YOU, YOU]
    assert office.sink.one(BrakeLifted).action == "bounce"


async def test_what_is_not_held_is_said(office):
    for act in (office.desk.release, office.desk.bounce):
        with pytest.raises(Refused, match="brake list"):
            await act("nobody@example.test")
    assert office.slept == []


async def test_a_command_that_died_is_given_again(office):
    await office.desk.release(YOU)
    await put(office.spool, leg("left@far.test", hold_reason=HOLD + "why"), claim=False)
    assert await office.desk.release(YOU) == 1
    assert len(office.sink.of(BrakeLifted)) == 1
