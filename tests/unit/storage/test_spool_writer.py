"""Group commit: neighbours of a failing verb, lost connections, incarnations, paging."""

from __future__ import annotations

import asyncio
import fcntl
import threading

import apsw
import pytest

from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record, Selection, SpoolFailed, Steer
from ekiden.storage.sqlite import queries, verbs
from ekiden.storage.sqlite.connection import DatabaseRefused
from ekiden.storage.sqlite.content import SpoolDraft
from ekiden.storage.sqlite.reading import ReadOnlySpool
from ekiden.storage.sqlite.spool import SqliteSpool
from ekiden.storage.sqlite.writer import MAX_BATCH
from tests.contract.spool_house import leg, put
from tests.fakes.clock import FakeClock


@pytest.fixture
async def spool(tmp_path):
    spool = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    yield spool
    await spool.close()


class Gate:
    """Holds the writer in a verb of its own, so that what comes meanwhile is one batch."""

    def __init__(self, spool):
        self._go = threading.Event()
        reached = threading.Event()
        loop = asyncio.get_running_loop()
        self.passed = spool._do(lambda _: (reached.set(), self._go.wait()))
        self.reached = loop.run_in_executor(None, reached.wait)

    async def open(self):
        self._go.set()
        await self.passed


async def closed_gate(spool):
    gate = Gate(spool)
    await gate.reached
    return gate


async def caught_up(spool):
    """What was given before is settled, and what that gave rise to is committed."""
    for _ in range(2):
        await spool._do(lambda _: None)


def accept(spool, letter=None, claim=True):
    draft = spool.begin()
    if letter is not None:
        draft = SpoolDraft(letter, spool._files, spool._pool)
    draft.write(b"hello")
    legs = [NewLeg("local", [Recipient("b@example.test")])]
    return spool.accept(draft, Envelope("", 1.0, Origin()), legs, claim=claim)


def finished(claim):
    return Record(claim, [Outcome("b@example.test", OutcomeKind.DELIVERED)])


async def test_neighbours_of_a_failing_verb_survive(spool):
    (taken,) = await accept(spool)
    (ending,) = await accept(spool)
    gate = await closed_gate(spool)
    given = [
        accept(spool),
        accept(spool, letter=taken.letter),  # fails: that letter is there already
        spool.record(finished(ending)),
        spool._do(lambda c: c.execute("no sql at all")),
        spool.release([taken], 7.0),
        spool._do(lambda c: c.execute("SELECT 1").get),
        accept(spool, letter=taken.letter),
        accept(spool, claim=False),
    ]
    await gate.open()
    answers = await asyncio.gather(*given, return_exceptions=True)
    assert [isinstance(answer, SpoolFailed) for answer in answers] == [n in (1, 3, 6) for n in range(8)]
    assert answers[2] is True
    assert answers[5] == 1
    assert await spool.counts() == {"waiting": 2, "claimed": 1, "held": 0, "letters": 3}
    assert (await spool.content(taken.letter)).octets == b"hello"
    assert len(await spool.trail(ending.letter)) == 1


async def test_a_failing_verb_alone_fails_alone(spool):
    (taken,) = await accept(spool)
    with pytest.raises(SpoolFailed, match="ConstraintError"):
        await accept(spool, letter=taken.letter)
    assert await spool.record(finished(taken)) is True


async def test_more_than_a_batch_with_barriers_in_between(spool):
    gate = await closed_gate(spool)
    given = []
    for number in range(3 * MAX_BATCH):
        given.append(accept(spool))
        if number % 100 == 50:
            given.append(spool._do(lambda c: c.execute("SELECT count(*) FROM letter").get))
    await gate.open()
    answers = await asyncio.gather(*given)
    assert [answer for answer in answers if isinstance(answer, int)] == list(range(51, 3 * MAX_BATCH, 100))
    records = [spool.record(finished(answer[0])) for answer in answers if isinstance(answer, list)]
    assert await asyncio.gather(*records) == [True] * (3 * MAX_BATCH)


async def test_a_cancelled_claim_is_given_back(spool):
    await accept(spool, claim=False)
    gate = await closed_gate(spool)
    claiming = asyncio.ensure_future(spool.claim(float("inf"), 10))
    await asyncio.sleep(0)
    claiming.cancel()
    await gate.open()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    await caught_up(spool)
    assert (await spool.counts())["waiting"] == 1


async def test_a_cancelled_accept_is_given_back(spool):
    gate = await closed_gate(spool)
    accept(spool).cancel()
    await gate.open()
    await caught_up(spool)
    assert (await spool.counts()) == {"waiting": 1, "claimed": 0, "held": 0, "letters": 1}


async def test_a_record_that_nobody_awaits_may_fail_in_silence(spool, caplog):
    (claim,) = await accept(spool)
    spool._writer._drop_connection()
    spool._writer._open_connection = lambda: (_ for _ in ()).throw(apsw.CantOpenError("gone"))
    spool.record(finished(claim))
    with pytest.raises(SpoolFailed, match="gone"):
        await spool.release([claim], 1.0)
    assert caplog.records == []


async def test_a_million_letters_are_read_in_pages(spool, monkeypatch):
    monkeypatch.setattr(queries, "PAGE", 4)
    letters = [(await accept(spool))[0].letter for _ in range(10)]
    assert [queued.letter for queued in await spool.find(Selection())] == letters
    assert [queued.letter for queued in await spool.find(Selection(after=letters[2], limit=5))] == letters[3:8]
    sizes, after = [], queries.START
    while after is not None:
        page, after = spool._queries.page(Selection(), after)
        sizes.append(len(page))
    assert sizes == [4, 4, 2]
    await spool.release([], 0.0)
    assert await spool.apply(Selection(), Steer.HOLD, now=0.0) == 0


@pytest.mark.parametrize(("page", "scanned"), [(4, 7), (4, 4), (100, 7), (2, 100)])
async def test_legs_of_one_next_hop_are_found_page_by_page(spool, monkeypatch, page, scanned):
    monkeypatch.setattr(queries, "PAGE", page)
    monkeypatch.setattr(queries, "SHAPE_PAGE", scanned)
    wanted = []
    for number in range(30):
        hop = "mx:rare.test" if number % 3 == 0 or number > 24 else "mx:other.test"
        letter = await put(spool, leg(next_hop=hop), claim=False)
        if hop == "mx:rare.test":
            wanted.append(letter)
    assert [queued.letter for queued in await spool.find(Selection(next_hop="mx:rare.test"))] == wanted
    assert await spool.find(Selection(next_hop="mx:nobody.test")) == []
    assert await spool.apply(Selection(next_hop="mx:rare.test"), Steer.HOLD, now=0.0) == len(wanted)


@pytest.mark.parametrize("steer", list(Steer))
async def test_a_leg_that_was_claimed_between_listing_and_steering_is_left_alone(spool, steer):
    (claim,) = await accept(spool)
    keys = [(claim.letter, claim.leg.number)]
    assert await spool._do(lambda c: verbs.steer_legs(c, steer, keys, 1.0, "")) == 0
    assert (await spool.counts())["claimed"] == 1


async def test_incarnations_are_never_used_again_and_never_share_their_bits(tmp_path):
    first = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    await first._do(lambda c: c.execute("UPDATE sqlite_sequence SET seq = ?", (first.incarnation + 1023,)))
    second = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    assert second.incarnation == first.incarnation + 1025  # + 1024 would make the same ids
    await second.close()
    third = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    assert third.incarnation == second.incarnation + 1
    assert sorted(path.name for path in (tmp_path / "incarnations").iterdir()) == [
        f"{spool.incarnation}.lock" for spool in (first, third)
    ]
    await first.close()
    await third.close()


async def test_claims_of_several_dead_are_freed_together(tmp_path):
    views = [SqliteSpool.open(tmp_path, FakeClock(), move_history=False) for _ in range(4)]
    for view in views:
        await accept(view)
    for view in views[:2]:
        fcntl.flock(view._life, fcntl.LOCK_UN)
    assert await views[2].free_dead_claims() == 2
    assert await views[3].free_dead_claims() == 0
    assert await views[3].counts() == {"waiting": 2, "claimed": 2, "held": 0, "letters": 4}
    for view in views:
        await view.close()


async def test_a_reader_leaves_no_trace(tmp_path):
    with pytest.raises(DatabaseRefused):
        ReadOnlySpool.open(tmp_path)
    assert list(tmp_path.iterdir()) == []
    spool = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    await accept(spool)
    await spool.close()
    before = sorted(tmp_path.rglob("*"))
    reader = ReadOnlySpool.open(tmp_path)
    assert (await reader.counts())["waiting"] == 1
    await reader.close()
    assert [path for path in sorted(tmp_path.rglob("*")) if path.suffix not in (".db-wal", ".db-shm")] == before


def test_a_folder_that_can_not_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseRefused, match="file"):
        SqliteSpool.open(tmp_path / "file" / "spool", FakeClock())


async def test_a_large_draft_discarded_while_it_is_accepted_stays_whole(spool):
    """The session may be lost meanwhile; the letter is ours by then."""
    draft = spool.begin()
    draft.write(b"x" * 300_000)
    legs = [NewLeg("local", [Recipient("b@example.test")])]
    accepting = spool.accept(draft, Envelope("", 1.0, Origin()), legs, claim=True)
    draft.discard()
    (claim,) = await accepting
    assert sum([len(piece) async for piece in claim.content.chunks()]) == 300_000


async def test_close_commits_what_is_under_way_and_frees_it(tmp_path):
    spool = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    draft = spool.begin()
    draft.write(b"x" * 300_000)
    late = spool.begin()
    legs = [NewLeg("local", [Recipient("b@example.test")])]
    gate = await closed_gate(spool)
    under_way = [spool.accept(draft, Envelope("", 1.0, Origin()), legs, claim=True), accept(spool)]
    closing = asyncio.ensure_future(spool.close())
    await asyncio.sleep(0)
    with pytest.raises(SpoolFailed, match="closed"):
        await spool.accept(late, Envelope("", 1.0, Origin()), legs, claim=False)
    await gate.open()
    await closing
    assert [len(claims) for claims in await asyncio.gather(*under_way)] == [1, 1]
    again = SqliteSpool.open(tmp_path, FakeClock(), move_history=False)
    assert await again.counts() == {"waiting": 2, "claimed": 0, "held": 0, "letters": 2}
    await again.close()
