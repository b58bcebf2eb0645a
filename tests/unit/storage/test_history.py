"""The mover: from the outbox to a file a day, once each, and old days dropped whole."""

from __future__ import annotations

import apsw
import pytest

from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record
from ekiden.storage.sqlite import history
from ekiden.storage.sqlite.connection import open_database
from ekiden.storage.sqlite.history import Days, Mover, day_of
from ekiden.storage.sqlite.spool import SqliteSpool
from tests.fakes.clock import FakeClock

DAY = 86_400


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.clock = FakeClock()
        self.spool = SqliteSpool.open(folder, self.clock, move_history=False)
        self.movers = []

    def mover(self, days=30, octets=1 << 40):
        place = self.spool._places
        mover = Mover(place.database, place.lock, place.history, days=days, octets=octets)
        self.movers.append(mover)
        return mover

    async def tell(self, count=1):
        """Letters that came and went."""
        letters = []
        for number in range(count):
            draft = self.spool.begin()
            draft.write(b"hello")
            envelope = Envelope("Alice@example.test", 1.0, Origin(), message_id=f"<{number}@example.test>")
            legs = [NewLeg("local", [Recipient("Bob@example.test")])]
            (claim,) = await self.spool.accept(draft, envelope, legs, claim=True)
            assert await self.spool.record(Record(claim, [Outcome("Bob@example.test", OutcomeKind.DELIVERED)]))
            letters.append(claim.letter)
        return letters

    @property
    def days(self):
        return sorted(path.name for path in (self.folder / "history").glob("*.db"))

    async def outbox(self):
        return await self.spool._do(lambda c: c.execute("SELECT count(*) FROM outbox").get)


@pytest.fixture
async def place(tmp_path):
    place = Place(tmp_path)
    yield place
    for mover in place.movers:
        mover.close()
    await place.spool.close()


def test_days_are_utc():
    assert day_of(1_767_225_600.0) == "2026-01-01"
    assert day_of(1_767_225_599.9) == "2025-12-31"
    assert day_of(float("inf")) == "0001-01-01"
    assert day_of(1e30) == "0001-01-01"


async def test_the_trail_is_the_same_before_and_after(place):
    letters = await place.tell(5)
    before = [await place.spool.trail(letter) for letter in letters]
    assert [len(trail) for trail in before] == [1] * 5
    mover = place.mover()
    assert mover.work(place.clock.now()) == 5
    assert mover.work(place.clock.now()) == 0
    assert await place.outbox() == 1
    assert [await place.spool.trail(letter) for letter in letters] == before
    assert await place.spool.letters_with_message_id("<3@example.test>") == [letters[3]]
    more = await place.tell(1)
    assert mover.work(place.clock.now()) == 1
    assert len(await place.spool.trail(more[0])) == 1


def test_a_day_file_that_is_just_being_made_has_nothing_to_say(tmp_path):
    open_database(tmp_path / "2026-01-01.db", synchronous="NORMAL").close()
    assert Days(tmp_path).of_letter("2026-01-01", 1) == {}


async def test_each_day_has_its_file_and_what_people_search_by_is_there(place):
    await place.tell(2)
    place.clock.jump(DAY)
    await place.tell(3)
    place.mover().work(place.clock.now())
    assert place.days == ["2026-01-01.db", "2026-01-02.db"]
    connection = apsw.Connection(str(place.folder / "history" / "2026-01-02.db"))
    assert connection.execute("SELECT count(*), min(reverse_path) FROM entry").fetchone() == (3, "alice@example.test")
    assert connection.execute("SELECT DISTINCT forward_path FROM recipient").fetchall() == [("bob@example.test",)]
    connection.close()


async def test_a_mover_that_died_before_emptying_the_outbox_is_repeated_without_doubles(place):
    letters = await place.tell(4)
    dead = place.mover()
    dead._store(await place.spool._do(lambda c: c.execute("SELECT * FROM outbox WHERE letter != 0").fetchall()))
    dead.close()
    assert place.mover().work(place.clock.now()) == 4
    assert [len(await place.spool.trail(letter)) for letter in letters] == [1] * 4
    connection = apsw.Connection(str(place.folder / "history" / "2026-01-01.db"))
    assert connection.execute("SELECT count(*) FROM entry").get == 4
    connection.close()


async def test_ids_of_the_outbox_are_never_used_again(place):
    """Else a new entry would be taken for one that was carried before."""
    for _ in range(3):
        letters = await place.tell(1)
        mover = place.mover()
        mover.work(place.clock.now())
        mover.close()
        assert len(await place.spool.trail(letters[0])) == 1


async def test_a_new_spool_beside_old_history_keeps_both(place, tmp_path):
    (old,) = await place.tell(1)
    place.mover().work(place.clock.now())
    place.movers.pop().close()
    await place.spool.close()
    (tmp_path / "spool.db").unlink()
    place.clock.advance(60)
    new_spool = SqliteSpool.open(tmp_path, place.clock, move_history=False)
    await new_spool._do(lambda c: c.execute("UPDATE outbox SET id = id + (60 << 20)"))  # a minute later
    place.spool = new_spool
    (new,) = await place.tell(1)
    place.mover().work(place.clock.now())
    assert [len(await place.spool.trail(letter)) for letter in (old, new)] == [1, 1]


async def test_many_loads(place, monkeypatch):
    monkeypatch.setattr(history, "LOAD", 7)
    letters = await place.tell(20)
    assert place.mover().work(place.clock.now()) == 20
    assert [len(await place.spool.trail(letter)) for letter in letters] == [1] * 20


async def test_one_mover_at_a_time(place):
    first, second = place.mover(), place.mover()
    await place.tell(1)
    assert first.work(place.clock.now()) == 1
    await place.tell(1)
    assert second.work(place.clock.now()) is None
    first.close()
    assert second.work(place.clock.now()) == 2  # the newest row is looked at once more


async def test_an_entry_that_nobody_can_read_does_not_stop_the_others(place):
    await place.spool._do(lambda c: c.execute("INSERT INTO outbox (letter, entry) VALUES (5, x'ff')"))
    (letter,) = await place.tell(1)
    assert place.mover().work(place.clock.now()) == 2
    assert len(await place.spool.trail(letter)) == 1


async def test_old_days_are_dropped_whole(place):
    for _ in range(5):
        await place.tell(1)
        place.clock.advance(DAY)
    (letter,) = await place.tell(1)
    mover = place.mover(days=2)
    mover.work(place.clock.now())
    assert place.days == ["2026-01-04.db", "2026-01-05.db", "2026-01-06.db"]
    assert len(await place.spool.trail(letter)) == 1


async def test_too_many_octets_drop_the_oldest_but_never_the_newest(place):
    for _ in range(3):
        await place.tell(1)
        place.clock.advance(DAY)
    mover = place.mover()
    mover.work(place.clock.now())
    mover.close()
    size = (place.folder / "history" / "2026-01-01.db").stat().st_size
    place.mover(octets=2 * size).work(place.clock.now())
    assert place.days == ["2026-01-02.db", "2026-01-03.db"]
    place.movers.pop().close()
    place.mover(octets=1).work(place.clock.now())
    assert place.days == ["2026-01-03.db"]
    assert [path.name for path in (place.folder / "history").glob("2026-01-0[12]*")] == []
