"""KnownRecipients, every engine: who was written to is known, to that account alone."""

from __future__ import annotations

import pytest

from ekiden.storage.memory.known_recipients import MemoryKnownRecipients
from ekiden.storage.sqlite.known_recipients import BELIEVED_STRANGER, SqliteKnownRecipients
from tests.fakes.clock import FakeClock

YOU, BOB = "you@example.test", "bob@example.test"
FAR = [f"friend{n}@far.test" for n in range(10)]


@pytest.fixture(params=["memory", "sqlite"])
async def known(request, tmp_path):
    made = MemoryKnownRecipients() if request.param == "memory" else SqliteKnownRecipients(tmp_path / "r", FakeClock())
    yield made
    made.close()


async def test_everybody_is_a_stranger_at_first(known):
    assert not await known.knows(YOU, FAR[0])
    assert known.peek(YOU, FAR[0]) is False
    assert await known.count(YOU) == 0


async def test_who_was_written_to_is_known_at_once_to_that_account_alone(known):
    assert not await known.knows(YOU, FAR[0])
    known.learned(YOU, FAR[:2])
    assert known.peek(YOU, FAR[0]) is True
    assert await known.knows(YOU, FAR[1])
    assert not await known.knows(YOU, FAR[2])
    assert not await known.knows(BOB, FAR[0])


async def test_imported_ones_are_counted_once_and_forgotten_together(known):
    assert await known.add(YOU, FAR[:5]) == 5
    assert await known.add(YOU, FAR) == 5
    assert await known.add(BOB, FAR[:1]) == 1
    assert await known.count(YOU) == 10
    assert await known.knows(YOU, FAR[9])
    await known.forget(YOU)
    assert await known.count(YOU) == 0
    assert not await known.knows(YOU, FAR[9])
    assert await known.knows(BOB, FAR[0])


# ---- SQLite alone


async def test_what_was_learned_is_there_after_a_restart_and_for_other_workers(tmp_path):
    clock = FakeClock()
    first, second = (SqliteKnownRecipients(tmp_path / "r", clock) for _ in range(2))
    assert not await second.knows(YOU, FAR[0])
    first.learned(YOU, FAR)
    first.close()
    assert second.peek(YOU, FAR[0]) is False, "believed for a minute"
    clock.advance(BELIEVED_STRANGER + 1)
    assert second.peek(YOU, FAR[0]) is None
    assert await second.knows(YOU, FAR[0])
    second.close()


async def test_an_account_knows_so_many_and_no_more(tmp_path):
    known = SqliteKnownRecipients(tmp_path / "r", FakeClock(), most_known=4)
    assert await known.add(YOU, FAR) == 4
    assert await known.add(YOU, FAR[5:]) == 0
    assert await known.count(YOU) == 4
    assert await known.add(BOB, FAR[:2]) == 2
    known.close()


async def test_a_store_that_fails_knows_everybody(tmp_path):
    known = SqliteKnownRecipients(tmp_path / "r", FakeClock())
    known._connection.execute("DROP TABLE known")
    assert await known.knows(YOU, FAR[0])
    assert known.peek(YOU, FAR[0]) is None, "and is asked again"
    known.learned(YOU, FAR)
    known.close()
