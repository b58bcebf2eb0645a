"""HabitBook, every engine: workers change the same habits, and nothing is lost."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from ekiden.policy.brake import new_habits, set_brake
from ekiden.ports.habit_book import Braked, HabitsFailed
from ekiden.storage.memory.habit_book import MemoryHabitBook
from ekiden.storage.sqlite.guard_file import SqliteGuardFile

NOW = 1_767_225_600.0
YOU, BOB = "you@example.test", "bob@example.test"


@pytest.fixture(params=["memory", "sqlite"])
def views(request, tmp_path):
    if request.param == "memory":
        book = MemoryHabitBook()
        yield book, book
        return
    made = [SqliteGuardFile(tmp_path / "guards.db") for _ in range(2)]
    yield tuple(made)
    for book in made:
        book.close()


def more(habits):
    habits = habits or new_habits(NOW)
    habits.letters += 1
    return habits


async def test_workers_add_to_the_same_habits(views):
    one, other = views
    assert await one.habits(YOU) is None
    await asyncio.gather(*[view.change({YOU: more, BOB: more}, NOW) for view in (one, other) * 10])
    assert (await one.habits(YOU)).letters == (await other.habits(BOB)).letters == 20


async def test_what_is_not_given_back_is_not_kept(views):
    one, other = views
    await one.change({YOU: lambda _: None}, NOW)
    assert await other.habits(YOU) is None
    await one.change({YOU: more}, NOW)

    def forget_it(habits):
        habits.letters = 99

    await one.change({YOU: forget_it}, NOW)
    assert (await other.habits(YOU)).letters == 1


async def test_braked_accounts_are_found_by_all(views):
    one, other = views
    await one.change({YOU: more, BOB: more}, NOW)

    def brake(habits):
        set_brake(habits, "why", NOW + 5)
        return habits

    def lift(habits):
        habits.braked = 0.0
        return habits

    await one.change({YOU: brake}, NOW)
    assert await other.braked() == {YOU: Braked(NOW + 5, "why", told=False)}
    assert (await other.habits(YOU)).braked == NOW + 5
    await other.change({YOU: lift}, NOW)
    assert await one.braked() == {}


async def test_who_was_not_seen_for_a_year_is_forgotten_but_not_a_brake(tmp_path):
    book = SqliteGuardFile(tmp_path / "guards.db")
    await book.change({YOU: more, BOB: more}, NOW)

    def brake(habits):
        set_brake(habits, "why", NOW)
        return habits

    await book.change({BOB: brake}, NOW)
    await book.change({"new@example.test": more}, NOW + 401 * 86_400)
    assert await book.habits(YOU) is None
    assert await book.habits(BOB) is not None
    book.close()


async def test_a_file_that_fails_says_so(tmp_path):
    book = SqliteGuardFile(tmp_path / "guards.db")
    blocker = apsw.Connection(str(tmp_path / "guards.db"))
    blocker.execute("DROP TABLE habit")
    with pytest.raises(HabitsFailed):
        await book.change({YOU: more}, NOW)
    with pytest.raises(HabitsFailed):
        await book.braked()
    with pytest.raises(HabitsFailed):
        await book.habits(YOU)
    book.close()
    blocker.close()
