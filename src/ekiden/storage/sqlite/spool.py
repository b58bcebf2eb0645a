"""The embedded spool: one SQLite file, one writing thread a process, large content in files beside it.

Rules
1. The two doors: `accept` answers after the commit (and after the synced file, if there is one); `record` is
   conditional on this incarnation's claim (DESIGN §3, §5).
2. What is given to the writer is encoded on the loop's thread, at once: nobody can change it on the way.
3. Several processes open the same folder; each is an incarnation, and they take turns at writing.
4. Letters are not taken any more when the disk has less than RESERVE_OCTETS left: what is queued must still be able
   to leave, and that writes, too.

Called by `app` (a worker: `open`, then `free_dead_claims` now and then) and by commands that steer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import apsw

from ekiden.model.envelope import Envelope, Leg, LegState, NewLeg
from ekiden.model.ids import IdSequence, Incarnation, LetterId, first_id
from ekiden.ports.clock import Clock
from ekiden.ports.spool import (
    Claim,
    Content,
    Draft,
    Overdue,
    Record,
    Rekey,
    Selection,
    SiteStatus,
    SpoolFailed,
    Steer,
    Suspension,
)
from ekiden.storage.duty import check_legs, check_record, trail_entry
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.sqlite import rerouting, verbs
from ekiden.storage.sqlite.claims import Incarnations
from ekiden.storage.sqlite.connection import DatabaseRefused, WriteLock, open_database, transaction
from ekiden.storage.sqlite.content import ContentFiles, FileContent, SpoolDraft
from ekiden.storage.sqlite.history import Mover
from ekiden.storage.sqlite.migrations import migrate
from ekiden.storage.sqlite.queries import START, LegKey
from ekiden.storage.sqlite.reading import Places, SpoolReader
from ekiden.storage.sqlite.schema import APPLICATION_ID, STEPS
from ekiden.storage.sqlite.turns import Turns
from ekiden.storage.sqlite.writer import Accept, Finish, Retell, Verb, Writer

#: Left free for what is queued already (rule 4): the write-ahead log at its usual size, three times.
RESERVE_OCTETS: Final = 48 * 1024 * 1024
#: How often the disk is asked for its free space, at most (seconds).
SPACE_ASKED_EVERY: Final = 1.0
#: Transactions that one `claim` may take to find something: each looks at so many next hops (`turns`), and lets other
#: processes write in between.
CLAIM_TRIES: Final = 5
#: How often the history thread looks at the outbox (seconds).
HISTORY_EVERY: Final = 1.0
#: Pages in the write-ahead log before they are carried into the database: 16 MiB. Measured with 4 KiB letters,
#: 1,000 costs a tenth of the throughput, more than 4,000 gains nothing.
CHECKPOINT_PAGES: Final = 4000

_log = logging.getLogger(__name__)


class SqliteSpool(SpoolReader):
    """`ports.spool.Spool`. Made by `open`; used on one event loop."""

    def __init__(self, places: Places, clock: Clock, lock: WriteLock, identity: tuple[Incarnation, int]) -> None:
        super().__init__(places)
        self._clock = clock
        self._incarnation, self._life = identity
        self._ids = IdSequence(self._incarnation)
        self._turns = Turns()
        self._writer = Writer(lambda: _connect(places), lock, lambda: self._free_octets() < RESERVE_OCTETS // 8)
        self._syncing: set[asyncio.Future[None]] = set()
        self._closing = False
        self._closed = False
        self._space_asked = float("-inf")
        self._has_space = True
        self._history_stop = threading.Event()
        self._history: threading.Thread | None = None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        clock: Clock,
        *,
        history_days: int = 30,
        history_octets: int = 2 * 1024**3,
        move_history: bool = True,
    ) -> SqliteSpool:
        """Makes what is missing, registers a new incarnation, sweeps orphaned content. Blocks for milliseconds.

        `move_history`: whether this process takes part in carrying the outbox to the day files (servers do,
        commands need not). Raises DatabaseRefused.
        """
        places = Places(Path(folder))
        try:
            places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = WriteLock(places.lock)
            incarnations = Incarnations(places.incarnations)
            incarnations.prepare()
            ContentFiles(places.content).prepare()
            connection = _connect(places)
            with lock, transaction(connection):
                identity = incarnations.register(connection, clock.now())
            connection.close()
        except OSError as error:
            raise DatabaseRefused(f"{error.filename or folder}: {error.strerror}") from error
        except apsw.Error as error:
            raise DatabaseRefused(f"{places.database}: {error}") from error
        spool = cls(places, clock, lock, identity)
        spool._sweep()
        if move_history:
            spool._start_history(history_days, history_octets)
        return spool

    @property
    def incarnation(self) -> Incarnation:
        return self._incarnation

    # The first door ------------------------------------------------------------------------------------------------

    def begin(self) -> Draft:
        if self._closing:
            raise SpoolFailed("the spool is closed")
        asked = self._clock.monotonic()
        if asked - self._space_asked >= SPACE_ASKED_EVERY:
            self._space_asked = asked
            self._has_space = self._free_octets() >= RESERVE_OCTETS
        if not self._has_space:
            raise SpoolFailed(f"{self._places.folder} has too little space left", full=True)
        return SpoolDraft(LetterId(self._ids.next(self._clock.now())), self._files, self._pool)

    def accept(
        self, draft: Draft, envelope: Envelope, legs: Sequence[NewLeg], *, claim: bool
    ) -> Awaitable[list[Claim]]:
        check_legs(legs)
        assert isinstance(draft, SpoolDraft)
        if not draft.usable:
            raise ValueError("the draft was accepted or discarded before")
        number = draft.letter
        octets = None if draft.is_file else draft.octets()
        held = legs[0].hold_reason
        claim = claim and not held
        owner, due = (self._incarnation, None) if claim else (None, self._clock.now())
        row = verbs.letter_row(number, verbs.encode(envelope), octets, legs, due, owner)
        more = verbs.leg_rows(number, 1, legs[1:], due, owner) if len(legs) > 1 else ()
        future: asyncio.Future[list[Claim]] = asyncio.get_running_loop().create_future()
        verb = Verb(lambda c: verbs.accept_held(c, row, more, held), future) if held else Accept(future, row, more)
        if claim:
            content: Content
            if octets is None:
                content = FileContent(self._files.path(number), draft.size_octets, self._pool)
            else:
                content = MemoryContent(octets)
            verb.result = [Claim(number, envelope, leg, content) for leg in _born_claimed(number, legs)]
            verb.abandoned = self._give_back_abandoned
        else:
            verb.result = []
        draft.take()
        if octets is None:  # the file stays if its letter was committed, or if that is unknown: then it is swept later
            verb.settled = lambda verb: draft.end(keep=verb.error is None or verb.unknown)
        if self._closing:
            verb.fail(SpoolFailed("the spool is closed"))
        elif octets is None:
            self._submit_synced(draft, verb)
        else:
            self._writer.submit(verb)
        return future

    def _submit_synced(self, draft: SpoolDraft, verb: Verb) -> None:
        """The file first, in a thread; then the row that names it."""
        synced = verb.future.get_loop().run_in_executor(self._pool, draft.sync)
        self._syncing.add(synced)

        def go_on(done: asyncio.Future[None]) -> None:
            self._syncing.discard(done)
            error = done.exception()
            if error is None:
                self._writer.submit(verb)  # `close` waits for it
            else:
                verb.fail(error if isinstance(error, SpoolFailed) else SpoolFailed(repr(error)))

        synced.add_done_callback(go_on)

    # The second door -----------------------------------------------------------------------------------------------

    def record(self, record: Record) -> Awaitable[bool]:
        check_record(record)
        now = self._clock.now()
        claim = record.claim
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        is_file = type(claim.content) is FileContent
        verb: Verb
        if record.remaining or record.reports or record.expanded or is_file or not record.outcomes:
            for report in record.reports:
                report.letter = LetterId(self._ids.next(now))
            retelling = verbs.Retelling(record, self._incarnation, now)
            verb = Retell(retelling, future)
            if is_file:
                verb.after = lambda: self._files.remove(claim.letter) if retelling.letter_gone else None
        else:
            entry = verbs.encode(trail_entry(record, now, []))
            verb = Finish(future, claim.letter, claim.leg.number, self._incarnation, entry)
        self._submit(verb)
        return future

    # Claims --------------------------------------------------------------------------------------------------------

    async def claim(self, now: float, limit: int, *, avoid: Collection[str] = ()) -> list[Claim]:
        owner, avoided, turns = self._incarnation, frozenset(avoid), self._turns
        claims: list[Claim] = []
        for _ in range(CLAIM_TRIES):
            claimed = self._do(lambda c: verbs.claim_due(c, owner, now, limit, avoided, turns), self._give_back_legs)
            claims = await self._load(claimed)
            if claims or not turns.has_more:
                break
        return claims

    async def claim_overdue(self, overdue: Overdue) -> tuple[list[Claim], tuple[int, int] | None]:
        firsts = first_id(overdue.late), first_id(overdue.expired)
        found, more = await self._ask(lambda: self._queries.overdue(overdue, *firsts))
        if not found:
            return [], more
        owner, keys = self._incarnation, list(found)
        claims = await self._load(self._do(lambda c: verbs.claim_waiting(c, owner, keys), self._give_back_legs))
        for claim in claims:
            claim.leg.next_attempt = found[claim.letter, claim.leg.number]
        return claims, more

    async def claim_for_removal(self, letter: LetterId, selection: Selection | None = None) -> list[Claim]:
        owner, is_alive = self._incarnation, self._incarnations.is_alive
        claimed = self._do(lambda c: verbs.claim_to_remove(c, owner, letter, selection, is_alive), self._give_back_legs)
        return await self._load(claimed)

    def release(self, claims: Sequence[Claim], next_attempt: float) -> Awaitable[None]:
        owner, keys = self._incarnation, [(claim.letter, claim.leg.number) for claim in claims]

        def act(connection: apsw.Connection) -> None:
            verbs.give_back(connection, owner, keys, next_attempt)

        return self._do(act)

    async def free_claims(self, incarnation: Incarnation) -> int:
        """A living incarnation's claims are left alone (0), whatever the caller believes."""
        if await self._ask(lambda: self._incarnations.is_alive(incarnation)):
            return 0
        freed = await self._free(incarnation)
        await self._do(lambda c: verbs.forget_incarnation(c, incarnation))
        await self._ask(lambda: self._incarnations.forget(incarnation))
        return freed

    async def free_dead_claims(self) -> int:
        """Frees the claims of all incarnations whose lock nobody holds; how many legs."""
        return sum([await self.free_claims(Incarnation(n)) for n in await self._ask(self._queries.claimants)])

    async def _free(self, incarnation: Incarnation) -> int:
        freed, after = 0, (0, -1)
        while keys := await self._ask(lambda: self._queries.claimed_by(incarnation, after, verbs.SLICE)):  # noqa: B023
            now, after = self._clock.now(), keys[-1]
            freed += await self._do(lambda c: verbs.give_back(c, incarnation, keys, now))  # noqa: B023 - awaited here
        return freed

    async def _load(self, claimed: asyncio.Future[list[LegKey]]) -> list[Claim]:
        keys = await claimed
        if not keys:
            return []
        try:
            return await self._ask(lambda: self._claims(keys))
        except BaseException:
            self._give_back(keys)
            raise

    def _give_back(self, keys: Sequence[LegKey]) -> None:
        """Claims that nobody took into his hands; due at once."""
        if not self._closed:
            owner, now = self._incarnation, self._clock.now()
            self._do(lambda c: verbs.give_back(c, owner, keys, now))

    def _give_back_legs(self, verb: Verb) -> None:
        self._give_back(verb.result)

    def _give_back_abandoned(self, verb: Verb) -> None:
        self._give_back([(claim.letter, claim.leg.number) for claim in verb.result])

    # Steering ------------------------------------------------------------------------------------------------------

    async def apply(
        self,
        selection: Selection,
        steer: Steer,
        *,
        now: float,
        reason: str = "",
        changed: Callable[[int], None] | None = None,
    ) -> int:
        """All that `selection` means; its `limit` is for listings. Other processes' workers see it when they poll."""
        count = 0
        after: LegKey | None = START
        while after is not None:
            start = after
            keys, after = await self._ask(lambda: self._queries.steered_keys(selection, steer, start))  # noqa: B023
            if keys:
                part = await self._do(lambda c: verbs.steer_legs(c, steer, keys, now, reason))  # noqa: B023
                count += part
                if changed is not None and part:
                    changed(part)
        return count

    async def reroute(
        self,
        selection: Selection,
        rekey: Rekey,
        *,
        now: float,
        changed: Callable[[int], None] | None = None,
    ) -> int:
        count = 0
        after: LegKey | None = START
        while after is not None:
            start = after
            found, after = await self._ask(lambda: self._queries.reroutable(selection, start))  # noqa: B023
            changes = rerouting.changes(found, rekey, verbs.encode, now)
            if changes:
                part = await self._do(lambda c: rerouting.change(c, changes))  # noqa: B023 - awaited here
                count += part
                if changed is not None and part:
                    changed(part)
        return count

    async def suspend_site(self, suspension: Suspension) -> None:
        await self._do(lambda c: verbs.suspend(c, suspension))

    async def resume_site(self, site: str) -> bool:
        now = self._clock.now()
        ended: bool = await self._do(lambda c: verbs.resume(c, site, now))
        return ended

    async def tell_sites(self, changed: Sequence[SiteStatus], gone: Collection[str]) -> None:
        owner, names = self._incarnation, list(gone)
        told = [(status.site, verbs.encode(status)) for status in changed]
        await self._do(lambda c: verbs.tell_sites(c, owner, told, names))

    # The end -------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Idempotent. What was submitted is committed; what comes later fails."""
        if self._closing:
            return
        self._closing = True
        while self._syncing:
            await asyncio.wait(self._syncing)
        try:
            await self._do(lambda _: None)  # what was submitted before is committed, and its claims can be seen
            await self._free(self._incarnation)
            await self._do(lambda c: verbs.forget_incarnation(c, self._incarnation))
        except SpoolFailed as error:
            _log.warning("claims stay until somebody frees them: %s", error)
        self._closed = True
        loop = asyncio.get_running_loop()
        self._history_stop.set()
        if self._history is not None:
            await loop.run_in_executor(self._pool, self._history.join)
        await self._ask(self._queries.close)  # before the writer, which as the last one folds the log away
        await loop.run_in_executor(self._pool, self._writer.stop)
        os.close(self._life)
        self._incarnations.forget(self._incarnation)
        await self._end_threads()

    # Inside --------------------------------------------------------------------------------------------------------

    def _submit(self, verb: Verb) -> None:
        if self._closed or (self._closing and verb.makes_claims):
            verb.fail(SpoolFailed("the spool is closed"))
        else:
            self._writer.submit(verb)

    def _do(
        self, act: Callable[[apsw.Connection], Any], abandoned: Callable[[Verb], None] | None = None
    ) -> asyncio.Future[Any]:
        verb = Verb(act, asyncio.get_running_loop().create_future())
        verb.abandoned = abandoned
        self._submit(verb)
        return verb.future

    def _free_octets(self) -> int:
        try:
            found = os.statvfs(self._places.folder)
        except OSError:
            return 0  # nothing can be taken where nothing can be asked
        return found.f_bavail * found.f_frsize

    def _sweep(self) -> None:
        """Content that a crash left over. Before anybody uses the spool: the reading connection is ours alone."""
        self._files.sweep(
            lambda: [number for number in self._queries.claimants() if self._incarnations.is_alive(number)],
            self._queries.knows,
        )

    def _start_history(self, days: int, octets: int) -> None:
        places = self._places
        mover = Mover(places.database, places.lock, places.history, days=days, octets=octets)
        self._history = threading.Thread(
            target=self._move_history, args=(mover,), name="ekiden-spool-history", daemon=True
        )
        self._history.start()

    def _move_history(self, mover: Mover) -> None:
        told = ""
        while not self._history_stop.wait(HISTORY_EVERY):
            try:
                mover.work(self._clock.now())
                told = ""
            except (apsw.Error, DatabaseRefused, OSError) as error:
                if str(error) != told:  # once, not every second
                    _log.warning("history is not carried on: %s", error)
                told = str(error)
        mover.close()


def _born_claimed(letter: LetterId, legs: Sequence[NewLeg]) -> list[Leg]:
    return [
        Leg(letter, number, leg.next_hop, leg.recipients, leg.flow, leg.priority, state=LegState.CLAIMED)
        for number, leg in enumerate(legs)
    ]


def _connect(places: Places) -> apsw.Connection:
    """A connection that may write, with the schema in place. Raises DatabaseRefused, apsw.Error."""
    connection = open_database(places.database, synchronous="FULL")
    migrate(connection, application_id=APPLICATION_ID, steps=STEPS)
    connection.wal_autocheckpoint(CHECKPOINT_PAGES)
    connection.pragma("journal_size_limit", 4 * CHECKPOINT_PAGES * 4096)
    connection.pragma("cache_size", -16 * 1024)
    connection.pragma("temp_store", "MEMORY")
    return connection
