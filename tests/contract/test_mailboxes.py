"""The contract of `ports.mailboxes`, on every engine. `reopened`: the same mailboxes as another process sees them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from ekiden.model.ids import IdSequence, LetterId
from ekiden.ports.mailboxes import Mailboxes, MailboxFailed, Maildrop, MaildropBusy
from ekiden.ports.spool import SpoolFailed
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.memory.mailboxes import MemoryMailboxes
from tests.fakes.clock import FakeClock

ALICE = "alice@example.test"
HEAD = b"Return-Path: <bob@example.org>\r\n"
SMALL = b"Subject: s\r\n\r\nhello\r\n"
LARGE = b"Subject: l\r\n\r\n" + b"0123456789\r\n" * 20_000
_ids = IdSequence(1)


def new_letter(at: float = 1_767_225_600.0) -> LetterId:
    return LetterId(_ids.next(at))


class Engine:
    def __init__(self, make: Callable[[], Mailboxes]) -> None:
        self._make = make
        self.boxes = make()

    async def deliver(self, letter: LetterId, octets: bytes, *, to: str = ALICE, recipient: str = ALICE) -> None:
        await self.boxes.deliver(to, letter, recipient, HEAD, MemoryContent(octets))

    async def reopened(self) -> Mailboxes:
        """A new store on the same place; the memory engine has none but itself."""
        return self.boxes if isinstance(self.boxes, MemoryMailboxes) else self._make()


@pytest.fixture(params=["memory", "maildir"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    stores: list[MaildirMailboxes] = []

    def maildir() -> MaildirMailboxes:
        stores.append(MaildirMailboxes(tmp_path / "mail", FakeClock()))
        return stores[-1]

    yield Engine(MemoryMailboxes if request.param == "memory" else maildir)
    for store in stores:
        await store.close()


async def contents(drop: Maildrop) -> list[bytes]:
    return [await content(drop, index) for index in range(len(drop.items))]


async def content(drop: Maildrop, index: int) -> bytes:
    pieces = []
    async with aclosing(drop.read(index)) as reading:
        async for piece in reading:
            assert 0 < len(piece) <= 64 * 1024
            pieces.append(piece)
    return b"".join(pieces)


async def fetched(boxes: Mailboxes, account: str = ALICE) -> list[bytes]:
    drop = await boxes.open_maildrop(account)
    try:
        return await contents(drop)
    finally:
        await drop.close()


async def test_a_new_mailbox_is_empty(engine: Engine) -> None:
    drop = await engine.boxes.open_maildrop(ALICE)
    assert len(drop.items) == drop.total_octets == 0
    await drop.close()


@pytest.mark.parametrize("octets", [SMALL, LARGE, b"", b"no line end", b"\r\n", b"x" * 200_000, b"\x00\xff\r\n"])
async def test_what_is_delivered_can_be_read(engine: Engine, octets: bytes) -> None:
    await engine.deliver(new_letter(), octets)
    drop = await engine.boxes.open_maildrop(ALICE)
    assert await contents(drop) == [HEAD + octets]
    whole = HEAD + octets
    assert drop.items[0].size_octets == len(whole) + (0 if whole.endswith(b"\r\n") else 2)
    assert drop.total_octets == drop.items[0].size_octets
    await drop.close()


async def test_messages_come_in_order_with_stable_unique_ids(engine: Engine) -> None:
    for number in range(20):
        await engine.deliver(new_letter(1_767_225_600.0 + number), b"%d\r\n" % number)
    drop = await engine.boxes.open_maildrop(ALICE)
    assert await contents(drop) == [HEAD + b"%d\r\n" % number for number in range(20)]
    ids = [item.unique_id for item in drop.items]
    assert len(set(ids)) == 20
    for unique_id in ids:
        assert 1 <= len(unique_id) <= 70
        assert all("\x21" <= character <= "\x7e" for character in unique_id)
    assert await drop.remove([0, 5]) == []
    await drop.close()
    again = await (await engine.reopened()).open_maildrop(ALICE)
    assert [item.unique_id for item in again.items] == [u for n, u in enumerate(ids) if n not in (0, 5)]
    await again.close()


async def test_a_repeated_delivery_makes_no_second_copy(engine: Engine) -> None:
    letter = new_letter()
    for _ in range(3):
        await engine.deliver(letter, SMALL)
    await (await engine.reopened()).deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert await fetched(engine.boxes) == [HEAD + SMALL]


async def test_nor_after_it_was_read_and_deleted(engine: Engine) -> None:
    letter = new_letter()
    await engine.deliver(letter, SMALL)
    drop = await engine.boxes.open_maildrop(ALICE)
    assert await drop.remove([0]) == []
    await drop.close()
    await (await engine.reopened()).deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert await fetched(engine.boxes) == []


async def test_each_recipient_and_each_letter_has_a_copy(engine: Engine) -> None:
    letter, other = new_letter(), new_letter()
    await engine.deliver(letter, SMALL)
    await engine.deliver(letter, SMALL, recipient="alice+tag@example.test")
    await engine.deliver(other, SMALL)
    await engine.deliver(letter, SMALL, to="bob@example.test", recipient="bob@example.test")
    assert len(await fetched(engine.boxes)) == 3
    assert len(await fetched(engine.boxes, "bob@example.test")) == 1


async def test_deliveries_overlap(engine: Engine) -> None:
    letters = [new_letter() for _ in range(40)]
    await asyncio.gather(*(engine.deliver(letter, LARGE if n % 4 else SMALL) for n, letter in enumerate(letters)))
    assert sorted(await fetched(engine.boxes)) == sorted(HEAD + (LARGE if n % 4 else SMALL) for n in range(40))


async def test_one_session_a_maildrop(engine: Engine) -> None:
    drop = await engine.boxes.open_maildrop(ALICE)
    for boxes in (engine.boxes, await engine.reopened()):
        with pytest.raises(MaildropBusy):
            await boxes.open_maildrop(ALICE)
    other = await engine.boxes.open_maildrop("bob@example.test")
    await other.close()
    await drop.close()
    await drop.close()
    again = await engine.boxes.open_maildrop(ALICE)
    await again.close()


async def test_the_list_is_fixed_for_the_session(engine: Engine) -> None:
    await engine.deliver(new_letter(), SMALL)
    drop = await engine.boxes.open_maildrop(ALICE)
    await engine.deliver(new_letter(), LARGE)
    assert len(drop.items) == 1
    assert await drop.remove([0]) == []
    with pytest.raises(KeyError):
        await content(drop, 0)
    await drop.close()
    assert await fetched(engine.boxes) == [HEAD + LARGE]


async def test_reading_may_be_given_up(engine: Engine) -> None:
    await engine.deliver(new_letter(), LARGE)
    drop = await engine.boxes.open_maildrop(ALICE)
    async with aclosing(drop.read(0)) as reading:
        assert await anext(reading)
    assert await content(drop, 0) == HEAD + LARGE
    await drop.close()


async def test_removing_what_is_gone_is_no_failure(engine: Engine) -> None:
    await engine.deliver(new_letter(), SMALL)
    drop = await engine.boxes.open_maildrop(ALICE)
    assert await drop.remove([0]) == []
    assert await drop.remove([0]) == []
    await drop.close()


class TornContent(MemoryContent):
    """Fails, or ends, in its midst."""

    def __init__(self, octets: bytes, *, fails: bool) -> None:
        super().__init__(octets)
        self._fails = fails

    @property
    def octets(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield LARGE[:1000]
        if self._fails:
            raise SpoolFailed("the disk is gone")


@pytest.mark.parametrize("fails", [True, False])
async def test_content_that_breaks_off_is_not_delivered(tmp_path: Path, fails: bool) -> None:
    boxes = MaildirMailboxes(tmp_path, FakeClock())
    letter = new_letter()
    with pytest.raises(MailboxFailed):
        await boxes.deliver(ALICE, letter, ALICE, HEAD, TornContent(LARGE, fails=fails))
    assert await fetched(boxes) == []
    assert not list(boxes.maildir(ALICE).glob("tmp/*"))
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(LARGE))
    assert await fetched(boxes) == [HEAD + LARGE]
    await boxes.close()


async def test_two_processes_deliver_at_once_and_one_has_the_maildrop(tmp_path: Path) -> None:
    """Both deliver the same twenty letters; each letter arrives once (contract 1) and only one opens (contract 3)."""
    script = """
import asyncio, sys
from pathlib import Path
from ekiden.app.clock import SystemClock
from ekiden.ports.mailboxes import MailboxFailed, MaildropBusy
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent

async def main():
    boxes = MaildirMailboxes(Path(sys.argv[1]), SystemClock())
    print("ready", flush=True)
    sys.stdin.readline()
    for letter in range(1 << 40, (1 << 40) + 20):
        while True:
            try:
                content = MemoryContent(b"%d\\r\\n" % letter)
                await boxes.deliver("a@example.test", letter, "a@example.test", b"", content)
                break
            except MailboxFailed:  # the other one is at it
                await asyncio.sleep(0.001)
    try:
        await boxes.open_maildrop("a@example.test")
        print("open", flush=True)
    except MaildropBusy:
        print("busy", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        assert [_listen(child) for child in children] == ["ready", "ready"]
        for child in children:
            _tell(child)
        assert sorted(_listen(child) for child in children) == ["busy", "open"]
    finally:
        for child in children:
            _tell(child)
            child.communicate(timeout=20)
    boxes = MaildirMailboxes(tmp_path, FakeClock())
    assert len(await fetched(boxes, "a@example.test")) == 20  # and the lock ended with its process
    await boxes.close()


def _listen(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _tell(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
