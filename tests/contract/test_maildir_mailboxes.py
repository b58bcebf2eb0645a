"""What `ports.mailboxes` leaves to the engine, for Maildir: other programs in the same folders, files, faults."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.ports.mailboxes import MailboxFailed
from ekiden.storage.maildir import journal as journal_module
from ekiden.storage.maildir.journal import Journal
from ekiden.storage.maildir.names import ticket
from ekiden.storage.maildir.store import TMP_SECONDS, MaildirMailboxes
from ekiden.storage.maildir.sync import SharedSync
from ekiden.storage.memory.content import MemoryContent
from tests.contract.test_mailboxes import ALICE, HEAD, LARGE, SMALL, content, contents, fetched, new_letter
from tests.fakes.clock import FakeClock


@pytest.fixture
async def boxes(tmp_path: Path) -> AsyncIterator[MaildirMailboxes]:
    store = MaildirMailboxes(tmp_path / "mail", FakeClock())
    yield store
    await store.close()


async def put(boxes: MaildirMailboxes, octets: bytes = SMALL) -> Path:
    """Delivers, and says where it is."""
    before = set(boxes.maildir(ALICE).glob("new/*"))
    await boxes.deliver(ALICE, new_letter(), ALICE, HEAD, MemoryContent(octets))
    (path,) = set(boxes.maildir(ALICE).glob("new/*")) - before
    return path


async def foreign(boxes: MaildirMailboxes, name: str, octets: bytes, folder: str = "new") -> Path:
    await (await boxes.open_maildrop(ALICE)).close()
    path = boxes.maildir(ALICE) / folder / name
    path.write_bytes(octets)
    return path


async def sizes(boxes: MaildirMailboxes) -> list[int]:
    drop = await boxes.open_maildrop(ALICE)
    try:
        found = [item.size_octets for item in drop.items]
        sent = [len(c) + (0 if c.endswith(b"\r\n") or not c else 2) for c in await contents(drop)]
        assert found == sent  # RFC 1939 §11: the sizes of what is transmitted
        return found
    finally:
        await drop.close()


async def test_layout_and_permissions(boxes: MaildirMailboxes) -> None:
    path = await put(boxes)
    assert path.parent == boxes.maildir(ALICE) / "new"
    assert path.name.endswith(f",S={len(HEAD + SMALL)},W={len(HEAD + SMALL)}")
    assert path.read_bytes() == HEAD + SMALL
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    folder = path.parent
    while folder.name != "mail":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder = folder.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(boxes.maildir(ALICE).glob("tmp/*"))
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("account", ["../../../evil@example.test", "a/b@x", "..@..", "x\0y@z", ("é" * 300) + "@x"])
async def test_odd_accounts_stay_below_the_root(boxes: MaildirMailboxes, tmp_path: Path, account: str) -> None:
    await boxes.deliver(account, new_letter(), account, b"", MemoryContent(SMALL))
    (path,) = (tmp_path / "mail").glob("*/*/Maildir/new/*")
    assert path.read_bytes() == SMALL
    assert [entry.name for entry in tmp_path.iterdir()] == ["mail"]


@pytest.mark.parametrize("flags", [":2,", ":2,S", ":2,FRST"])
async def test_a_repeated_delivery_finds_the_moved_message(boxes: MaildirMailboxes, flags: str) -> None:
    letter = new_letter()
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    (path,) = boxes.maildir(ALICE).glob("new/*")
    path.rename(boxes.maildir(ALICE) / "cur" / (path.name + flags))
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert len(await fetched(boxes)) == 1


async def test_a_message_that_moves_during_the_session_is_found(boxes: MaildirMailboxes) -> None:
    path = await put(boxes)
    drop = await boxes.open_maildrop(ALICE)
    unique_id = drop.items[0].unique_id
    path.rename(boxes.maildir(ALICE) / "cur" / (path.name + ":2,S"))
    assert await content(drop, 0) == HEAD + SMALL
    assert await drop.remove([0]) == []
    assert not list(boxes.maildir(ALICE).glob("cur/*"))
    await drop.close()
    assert "," in unique_id


async def test_the_unique_id_survives_flags(boxes: MaildirMailboxes) -> None:
    path = await put(boxes)
    drop = await boxes.open_maildrop(ALICE)
    before = drop.items[0]
    await drop.close()
    path.rename(boxes.maildir(ALICE) / "cur" / (path.name + ":2,RS"))
    drop = await boxes.open_maildrop(ALICE)
    assert drop.items[0] == before
    await drop.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        b"a: b\n\nlf only\n",
        b"a: b\r\n\r\nmixed\nends\r\n",
        b"no end",
        b"cr\r",
        b"\r\r\n\n\r",
        b"x\n" * 70_000,
    ],
)
@pytest.mark.parametrize("name", ["1767225601.M1P1.host", "1767225601.M1P1.host,S=1,W=1:2,S", "plain"])
async def test_foreign_files_have_the_size_that_is_transmitted(
    boxes: MaildirMailboxes, name: str, octets: bytes
) -> None:
    await foreign(boxes, name, octets, "cur")
    first = await sizes(boxes)
    assert first == await sizes(boxes)  # from the cache
    drop = await boxes.open_maildrop(ALICE)
    assert await contents(drop) == [octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")]
    await drop.close()


async def test_foreign_files_are_measured_once(boxes: MaildirMailboxes) -> None:
    path = await foreign(boxes, "1767225601.M1P1.host", b"1234\n")
    assert await sizes(boxes) == [6]
    cache = boxes.maildir(ALICE).parent / "sizes"
    assert cache.read_bytes() == b"6 1767225601.M1P1.host\n"
    cache.write_bytes(b"junk\n7 1767225601.M1P1.host\nx 1\n\xff\n")
    drop = await boxes.open_maildrop(ALICE)
    assert drop.items[0].size_octets == 7
    await drop.close()
    path.unlink()
    await foreign(boxes, "1767225602.M1P1.host", b"1\n")
    assert await sizes(boxes) == [3]
    assert cache.read_bytes() == b"3 1767225602.M1P1.host\n"  # what is gone is forgotten


async def test_what_is_no_message_is_left_out(boxes: MaildirMailboxes, tmp_path: Path) -> None:
    await foreign(boxes, ".hidden", b"x")
    (boxes.maildir(ALICE) / "cur" / "folder").mkdir()
    os.mkfifo(boxes.maildir(ALICE) / "cur" / "pipe")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (boxes.maildir(ALICE) / "cur" / "link").symlink_to(secret)
    assert await fetched(boxes) == []


async def test_old_files_in_tmp_are_swept(boxes: MaildirMailboxes) -> None:
    old = await foreign(boxes, "old", b"x", "tmp")
    fresh = await foreign(boxes, "fresh", b"x", "tmp")
    now = FakeClock().now()
    os.utime(old, (now, now - TMP_SECONDS - 1))
    os.utime(fresh, (now, now - TMP_SECONDS + 1))
    await (await boxes.open_maildrop(ALICE)).close()
    assert not old.exists()
    assert fresh.exists()


async def test_folders_that_vanish_are_made_again(boxes: MaildirMailboxes) -> None:
    path = await put(boxes)
    path.unlink()
    for name in ("new", "cur", "tmp"):
        (boxes.maildir(ALICE) / name).rmdir()
    await put(boxes)
    assert len(await fetched(boxes)) == 1


async def test_an_unfinished_attempt_is_begun_anew(boxes: MaildirMailboxes) -> None:
    """Killed while writing: tmp has half a file under the same name."""
    await (await boxes.open_maildrop(ALICE)).close()
    letter = new_letter()
    half = boxes.maildir(ALICE) / "tmp" / ticket(letter, ALICE).base
    half.write_bytes(b"half" * 10_000)
    snapshot = boxes.maildir(ALICE).parent / "snapshot"
    os.link(half, snapshot)
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert await fetched(boxes) == [HEAD + SMALL]
    assert snapshot.read_bytes() == b"half" * 10_000  # what shares the file is left alone


@pytest.mark.parametrize("place", ["new", "cur", ".Archive/cur"])
async def test_an_attempt_that_died_after_its_link_is_found(boxes: MaildirMailboxes, place: str) -> None:
    """Killed between link and journal: the message is in the mailbox, tmp still has its name, the journal no line."""
    letter = new_letter()
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    maildir = boxes.maildir(ALICE)
    (path,) = maildir.glob("new/*")
    os.link(path, maildir / "tmp" / ticket(letter, ALICE).base)
    (maildir.parent / "delivered").unlink()
    (maildir / place).mkdir(parents=True, exist_ok=True)
    path.rename(maildir / place / (path.name + ":2,S"))
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert len(list(maildir.rglob("*.ekiden,*"))) == 1
    assert not list(maildir.glob("tmp/*"))
    assert Journal(maildir.parent).has(ticket(letter, ALICE).key)


async def test_a_full_disk_is_a_temporary_failure_and_leaves_nothing(
    boxes: MaildirMailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(boxes)

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    letter = new_letter()
    with monkeypatch.context() as patch:
        patch.setattr("ekiden.storage.maildir.deposit.os.write", full)
        for octets in (SMALL, LARGE):
            with pytest.raises(MailboxFailed, match="No space"):
                await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(octets))
    assert not list(boxes.maildir(ALICE).glob("tmp/*"))
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert len(await fetched(boxes)) == 2


@pytest.mark.parametrize("failing", [1, 2])
async def test_a_sync_that_fails_is_no_delivery(
    boxes: MaildirMailboxes, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """fsync of the file (1) or of the folder (2): not acknowledged, and the next attempt makes it good, once."""
    await put(boxes)
    letter, calls, fsync = new_letter(), [0], os.fsync

    def breaking(fd: int) -> None:
        calls[0] += 1
        if calls[0] == failing:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", breaking)
        with pytest.raises(MailboxFailed, match="Input/output"):
            await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    await boxes.deliver(ALICE, letter, ALICE, HEAD, MemoryContent(SMALL))
    assert len(await fetched(boxes)) == 2


async def test_a_message_that_cannot_be_deleted_is_reported(
    boxes: MaildirMailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await put(boxes)
    drop = await boxes.open_maildrop(ALICE)
    unlink = os.unlink
    stuck = boxes.maildir(ALICE) / "new" / drop.items[1].unique_id

    def refusing(path: Path) -> None:
        if Path(path) == stuck:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path)

    monkeypatch.setattr("ekiden.storage.maildir.maildrop.os.unlink", refusing)
    assert await drop.remove([0, 1, 2]) == [1]
    await drop.close()
    assert len(await fetched(boxes)) == 1


def test_the_journal_turns_over_and_remembers_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_OCTETS", 300)
    journal = Journal(tmp_path)
    keys = [f"0000000000000-{number:016x}" for number in range(100)]
    for key in keys:
        assert not journal.has(key)
        journal.append(key)
        assert journal.has(key)
    assert all(journal.has(key) for key in keys[-10:])
    assert not journal.has(keys[0])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1000


def test_a_sync_that_began_earlier_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten who ask while one sync runs share the next one."""
    sync, fsync = SharedSync(), os.fsync
    running, go = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        running.set()
        assert go.wait(10)
        fsync(fd)

    monkeypatch.setattr("ekiden.storage.maildir.sync.os.fsync", slow)
    first = threading.Thread(target=sync.sync, args=(tmp_path,))
    first.start()
    assert running.wait(10)
    others = [threading.Thread(target=sync.sync, args=(tmp_path,)) for _ in range(10)]
    for thread in others:
        thread.start()
    while sync.waiting(tmp_path) < 11:
        pass
    go.set()
    for thread in [first, *others]:
        thread.join(10)
    assert sync.syncs == 2


def test_a_sync_that_fails_fails_only_for_who_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = SharedSync()
    with monkeypatch.context() as patch:
        patch.setattr("ekiden.storage.maildir.sync.os.fsync", lambda fd: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(OSError, match="broken"):
            sync.sync(tmp_path)
    sync.sync(tmp_path)
    assert sync.waiting(tmp_path) == 0
