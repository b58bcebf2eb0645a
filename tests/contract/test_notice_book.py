"""NoticeBook, every engine: one caller tells, the others hear that it was told."""

from __future__ import annotations

import apsw
import pytest

from ekiden.storage.memory.notice_book import MemoryNoticeBook
from ekiden.storage.sqlite.guard_file import SqliteGuardFile

DAY = 86_400.0
NOW = 1_767_225_600.0


@pytest.fixture(params=["memory", "sqlite"])
def views(request, tmp_path):
    """Two views of one book, as two workers have them."""
    if request.param == "memory":
        book = MemoryNoticeBook()
        yield book, book
        return
    made = [SqliteGuardFile(tmp_path / "guards.db") for _ in range(2)]
    yield tuple(made)
    for book in made:
        book.close()


async def test_once_a_period_over_all_workers(views):
    one, other = views
    assert await one.take("brake", "you@example.test", NOW, DAY)
    assert not await other.take("brake", "you@example.test", NOW + 1, DAY)
    assert not await one.take("brake", "you@example.test", NOW + DAY - 1, DAY)
    assert await other.take("brake", "you@example.test", NOW + DAY, DAY)
    assert not await one.take("brake", "you@example.test", NOW + DAY, DAY)


async def test_another_kind_or_matter_is_told(views):
    one, _ = views
    assert await one.take("brake", "you@example.test", NOW, DAY)
    assert await one.take("quota", "you@example.test", NOW, DAY)
    assert await one.take("brake", "bob@example.test", NOW, DAY)


async def test_what_could_not_be_told_may_be_told(views):
    one, other = views
    assert await one.take("brake", "", NOW, DAY)
    await one.give_back("brake", "")
    assert await other.take("brake", "", NOW, DAY)


async def test_a_clock_that_was_set_back_silences_nobody(views):
    one, _ = views
    assert await one.take("brake", "", NOW + 1000 * DAY, DAY)
    assert await one.take("brake", "", NOW, DAY)
    assert not await one.take("brake", "", NOW + 1, DAY)


async def test_a_file_that_fails_silences_nobody(tmp_path):
    book = SqliteGuardFile(tmp_path / "guards.db")
    assert await book.take("brake", "", NOW, DAY)
    blocker = apsw.Connection(str(tmp_path / "guards.db"))
    blocker.execute("DROP TABLE notice")
    assert await book.take("brake", "", NOW, DAY)
    await book.give_back("brake", "")
    book.close()
    blocker.close()
