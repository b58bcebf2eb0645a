"""How much Maildirs hold: counted once, then kept by lines; several workers at once; other programs."""

from __future__ import annotations

import pytest

from ekiden.model.ids import IdSequence
from ekiden.ports.usage import Usage
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.maildir.usage import BELIEVED, DAY
from ekiden.storage.maildir.usage_file import MOST_OCTETS, Counted, UsageFile
from ekiden.storage.memory.content import MemoryContent
from tests.fakes.clock import FakeClock

YOU, BOB, ALL = "you@example.test", "bob@example.test", "@example.test"
CONTENT = b"Subject: hi\r\n\r\nhello\r\n"


class House:
    def __init__(self, root) -> None:
        self.root = root
        self.clock = FakeClock()
        self.ids = IdSequence(1)
        self.stores = [MaildirMailboxes(root, self.clock) for _ in range(2)]

    async def deliver(self, account=YOU, store=0, content=CONTENT) -> None:
        letter = self.ids.next(self.clock.now())
        await self.stores[store].deliver(account, letter, account, b"X: y\r\n", MemoryContent(content))

    async def usage(self, name=YOU, store=0) -> tuple[int, int]:
        self.clock.advance(BELIEVED)
        return (await self.stores[store].usage.find(name))[:2]


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path / "mail")
    yield house
    for store in house.stores:
        await store.close()


SIZE = len(CONTENT) + len(b"X: y\r\n")


async def test_what_is_there_is_counted_once_and_then_what_comes_and_goes(house) -> None:
    assert await house.usage() == (0, 0)
    await house.deliver()
    assert await house.usage() == (SIZE, 1)
    for store in (0, 1, 1):
        await house.deliver(store=store)
    assert await house.usage() == await house.usage(store=1) == (4 * SIZE, 4)
    drop = await house.stores[1].open_maildrop(YOU)
    assert await drop.remove([0, 2]) == []
    await drop.close()
    assert await house.usage() == (2 * SIZE, 2)


async def test_a_letter_that_comes_again_is_not_counted_again(house) -> None:
    await house.deliver()
    await house.usage()
    letter = house.ids.next(house.clock.now())
    for store in house.stores:
        await store.deliver(YOU, letter, YOU, b"", MemoryContent(CONTENT))
    assert await house.usage() == (SIZE + len(CONTENT), 2)


async def test_what_was_answered_a_moment_ago_holds_what_came_since(house) -> None:
    await house.deliver()
    usage = house.stores[0].usage
    await usage.find(YOU)
    await house.deliver()
    assert usage.peek(YOU) == Usage(2 * SIZE, 2)
    house.clock.advance(BELIEVED)
    assert usage.peek(YOU) is None


async def test_what_another_program_does_is_seen_after_a_day_or_when_it_is_counted(house) -> None:
    await house.deliver()
    assert await house.usage() == (SIZE, 1)
    maildir = house.stores[0].maildir(YOU)
    (maildir / "cur" / "1.elsewhere:2,S").write_bytes(b"x" * 100)
    (maildir / ".Sent" / "cur").mkdir(parents=True)
    (maildir / ".Sent" / "cur" / "2.elsewhere,S=7:2,S").write_bytes(b"seven o")
    assert await house.usage() == (SIZE, 1)
    assert (await house.stores[0].usage.recount(YOU))[:2] == (SIZE + 107, 3)
    (maildir / "cur" / "1.elsewhere:2,S").unlink()
    house.clock.advance(DAY)
    assert await house.usage() == (SIZE + 7, 2)


async def test_a_domain_is_all_of_its_mailboxes(house) -> None:
    for account in (YOU, BOB, "else@second.test"):
        await house.deliver(account)
    assert await house.usage(ALL) == (2 * SIZE, 2)
    await house.deliver(BOB, store=1)
    assert await house.usage(ALL) == (3 * SIZE, 3)


async def test_marks_are_shared_and_kept(house) -> None:
    await house.deliver()
    first, second = (store.usage for store in house.stores)
    assert await first.mark(YOU)
    assert not await second.mark(YOU)
    assert (await second.find(YOU)).marked
    await second.unmark(YOU)
    await second.unmark(YOU)
    assert not (await second.find(YOU)).marked
    assert await first.mark(ALL)


def test_the_file_stays_short_and_its_sum_stays_right(tmp_path) -> None:
    file = UsageFile(tmp_path / "usage")
    file.add(5, 1)
    assert file.read() is None, "nobody asked yet"
    assert file.count(lambda: (100, 2), 7.0) == Counted(7.0, 100, 2)
    for _ in range(2000):
        file.add(10, 1)
        if (tmp_path / "usage").stat().st_size > MOST_OCTETS:
            file.read()
    assert file.read() == Counted(7.0, 20_100, 2002)
    assert (tmp_path / "usage").stat().st_size <= MOST_OCTETS
    assert [path.name for path in tmp_path.iterdir()] == ["usage"]


@pytest.mark.parametrize("text", [b"", b"\n", b"1 2\n", b"x y z\n", b"1 2 3\nx\n"])
async def test_a_file_that_is_none_is_counted_anew(house, text) -> None:
    await house.deliver()
    (house.stores[0].maildir(YOU).parent / "usage").write_bytes(text)
    assert await house.usage() == (SIZE, 1)
    await house.deliver()
    assert await house.usage() == (2 * SIZE, 2)
