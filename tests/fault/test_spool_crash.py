"""The embedded spool under kill -9, a full disk and a disk that fails: nothing acknowledged is missing."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.ids import LetterId
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record, Selection, SpoolFailed
from ekiden.storage.sqlite import content as content_module
from ekiden.storage.sqlite import spool as spool_module
from ekiden.storage.sqlite.spool import SqliteSpool
from tests.fakes.clock import FakeClock
from tests.fault.spool_sender import content_of

ROOT = Path(__file__).parents[2]


def opened(folder, clock=None):
    return SqliteSpool.open(folder, clock or FakeClock(), move_history=False)


async def put(spool, size=10):
    draft = spool.begin()
    draft.write(b"x" * size)
    legs = [NewLeg("mx:example.org", [Recipient("bob@example.org")])]
    (claim,) = await spool.accept(draft, Envelope("a@example.test", 1.0, Origin()), legs, claim=True)
    return claim


def finished(claim):
    return Record(claim, [Outcome("bob@example.org", OutcomeKind.RELAYED)])


def files(folder):
    return sorted(path.name for path in (folder / "content").glob("*/*"))


# kill -9 ------------------------------------------------------------------------------------------


def send_until_killed(folder, lines):
    """Runs a sender, kills it after it said `lines` lines; what it said until it was dead."""
    command = [sys.executable, "-m", "tests.fault.spool_sender", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as sender:
        said = [sender.stdout.readline() for _ in range(lines)]
        sender.kill()
        said += sender.stdout.readlines()
    return [line.split() for line in said if line.endswith(b"\n")]


async def audit(folder, said):
    """Each letter that was acknowledged is queued whole, or its end is told in the trail."""
    spool = opened(folder)
    accepted = {int(words[1]): int(words[2]) for words in said if words[0] == b"A"}
    ended = {int(words[1]) for words in said if words[0] == b"R"}
    queued = {letter.letter for letter in await spool.find(Selection(limit=1_000_000))}
    assert not ended & queued
    for letter, size in accepted.items():
        if letter in queued:
            content = await spool.content(LetterId(letter))
            assert b"".join([piece async for piece in content.chunks()]) == content_of(letter, size)
        else:
            assert len(await spool.trail(LetterId(letter))) == 1
    for letter in ended - accepted.keys():
        raise AssertionError(f"{letter} was recorded, but never accepted")
    return spool, queued


async def test_kill_in_the_midst_of_group_commits(tmp_path):
    folder, said = tmp_path / "spool", []
    for lines in (1, 150, 400, 700):
        said += send_until_killed(folder, lines)
        spool, _ = await audit(folder, said)
        await spool.close()

    spool, queued = await audit(folder, said)
    assert sum(1 for words in said if words[0] == b"A") > 600
    assert (await spool.counts())["claimed"] == len(queued)  # all born claimed by the dead
    assert await spool.free_dead_claims() == len(queued)
    claims = await spool.claim(float("inf"), 1_000_000)
    assert {claim.letter for claim in claims} == queued
    assert all(await asyncio.gather(*(spool.record(finished(claim)) for claim in claims)))
    assert files(folder) == []
    assert await spool.free_dead_claims() == 0
    await spool.close()
    with_checks = apsw.Connection(str(folder / "spool.db"))
    assert with_checks.pragma("integrity_check") == "ok"
    with_checks.close()


async def test_two_processes_send_and_one_is_killed(tmp_path):
    """Its claims come back; the other's are not touched, and it goes on."""
    folder = tmp_path / "spool"
    alive = opened(folder)
    mine = await put(alive)
    said = send_until_killed(folder, 200)
    spool, queued = await audit(folder, said)
    assert await alive.free_dead_claims() == len(queued) - 1
    assert (await alive.counts())["claimed"] == 1
    assert await alive.record(finished(mine)) is True
    await spool.close()
    await alive.close()


async def test_orphans_are_swept_but_nothing_that_lives_or_is_not_ours(tmp_path):
    dead, living = opened(tmp_path), opened(tmp_path)
    lost, written = dead.begin(), living.begin()
    for draft in (lost, written):
        draft.write(b"x" * 100_000)
    queued = await put(dead, 100_000)
    half = await put(living, 100_000)
    stranger = tmp_path / "content" / "00" / "README"
    stranger.write_text("kept")
    os.close(dead._life)  # dies
    await asyncio.to_thread(dead._writer.stop)
    assert len(files(tmp_path)) == 5
    third = opened(tmp_path)
    names = {content_module.render_id(letter) for letter in (written.letter, queued.letter, half.letter)}
    assert set(files(tmp_path)) == names | {"README"}
    for spool in (living, third):
        await spool.close()


# A full disk ------------------------------------------------------------------------------------------


class FullDisk:
    """Stands for `os` in `storage.sqlite.content`: after `room` octets no write succeeds."""

    def __init__(self, room):
        self.room = room

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, descriptor, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        data = data[: self.room]
        self.room -= len(data)
        return os.write(descriptor, data)


async def test_no_space_for_a_content_file(tmp_path, monkeypatch):
    spool = opened(tmp_path)
    monkeypatch.setattr(content_module, "os", FullDisk(150_000))
    draft = spool.begin()
    draft.write(b"x" * 100_000)
    with pytest.raises(SpoolFailed) as caught:
        draft.write(b"x" * 100_000)
    assert caught.value.full
    with pytest.raises(SpoolFailed):
        draft.write(b"x")
    legs = [NewLeg("local", [Recipient("b@example.test")])]
    with pytest.raises(SpoolFailed):  # who did not notice is told again, before any 250
        await spool.accept(draft, Envelope("", 1.0, Origin()), legs, claim=True)
    assert (await spool.counts())["letters"] == 0
    assert (await put(spool)).content.size_octets == 10
    await spool.close()
    assert files(tmp_path) == []


async def test_a_file_that_can_not_be_synced_is_not_accepted(tmp_path, monkeypatch):
    class Failing(FullDisk):
        def fsync(self, _):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    spool = opened(tmp_path)
    monkeypatch.setattr(content_module, "os", Failing(1_000_000))
    with pytest.raises(SpoolFailed) as caught:
        await put(spool, 100_000)
    assert not caught.value.full
    assert (await spool.counts())["letters"] == 0
    await spool.close()
    assert files(tmp_path) == []


async def test_no_space_in_the_database(tmp_path):
    """Accepts fail as `full`; what is queued can still leave, and then there is room again."""
    spool = opened(tmp_path)
    claims = [await put(spool, 50_000) for _ in range(10)]
    await spool._do(lambda c: c.pragma("max_page_count", c.pragma("page_count") + 3))
    accepting = [put(spool, 50_000), put(spool, 100), put(spool, 50_000)]
    answers = await asyncio.gather(*accepting, return_exceptions=True)
    assert [isinstance(answer, SpoolFailed) and answer.full for answer in answers] == [True, False, True]
    assert (await spool.counts())["letters"] == 11
    assert all(await asyncio.gather(*(spool.record(finished(claim)) for claim in claims)))
    assert (await put(spool, 50_000)).content.size_octets == 50_000
    await spool.close()


async def test_nothing_is_taken_when_little_space_is_left(tmp_path, monkeypatch):
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    claim = await put(spool)
    monkeypatch.setattr(spool_module, "RESERVE_OCTETS", 1 << 60)
    spool.begin()  # the disk was asked within this second
    clock.advance(1)
    with pytest.raises(SpoolFailed) as caught:
        spool.begin()
    assert caught.value.full
    assert await spool.record(finished(claim)) is True
    await spool.close()


# A disk that fails ------------------------------------------------------------------------------------------


class FailingFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        super().__init__("unix", name, flags)
        self._vfs = vfs

    def xSync(self, flags):
        if self._vfs.failures:
            self._vfs.failures -= 1
            raise apsw.IOError("the disk failed")
        super().xSync(flags)


class FailingDisk(apsw.VFS):
    """The default way to files while a test runs; `failures`: how many of the next syncs fail."""

    def __init__(self):
        self.failures = 0
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name, flags):
        return FailingFile(self, name, flags)


@pytest.fixture
def disk():
    disk = FailingDisk()
    yield disk
    disk.unregister()


async def test_a_failing_sync_fails_the_verbs_and_the_next_ones_work(tmp_path, disk):
    spool = opened(tmp_path)
    first = await put(spool)
    disk.failures = 1
    broken = spool._writer._connection
    with pytest.raises(SpoolFailed, match="IOError"):
        await put(spool)
    assert spool._writer._connection is not broken
    second = await put(spool)
    assert {letter.letter for letter in await spool.find(Selection())} == {first.letter, second.letter}
    disk.failures = 1
    with pytest.raises(SpoolFailed):
        await spool.record(finished(first))
    assert await spool.record(finished(first)) is True
    assert await spool.record(finished(second)) is True
    await spool.close()
    again = opened(tmp_path)
    assert (await again.counts())["letters"] == 0
    await again.close()


async def test_a_large_letter_whose_commit_is_unknown_keeps_its_file_until_the_next_start(tmp_path, disk):
    spool = opened(tmp_path)
    await put(spool)
    disk.failures = 1
    with pytest.raises(SpoolFailed):
        await put(spool, 100_000)
    await spool.close()
    assert len(files(tmp_path)) == 1
    await opened(tmp_path).close()
    assert files(tmp_path) == []
