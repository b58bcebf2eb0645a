"""The one thread of a process that writes to spool.db: group commit (DESIGN §4).

Rules
1. It commits what has gathered while the last commit ran, at most MAX_BATCH verbs; nobody waits on a timer.
2. From BEGIN to COMMIT it holds the write lock, so that processes take turns in the order of asking.
3. Verbs of one process take effect in the order they were given. Accepts and records of different legs commute, and
   are gathered into one statement (`schema.OWN`); every other verb is a barrier.
4. One verb's failure never undoes its neighbours: if the batch fails, it is rolled back and each verb gets a
   transaction of its own. That is slow; but the cause is a full disk or a defect of ours, never a peer's doing.
5. After an I/O error nothing is tried again on this connection: the verbs fail and the next batch opens a new one.
   Whether such a commit took effect is unknown then; nothing was promised to anybody.
6. The loop is woken once a batch, and the thread once a turn of the loop: a thread that is woken for the first verb
   fights the loop for the interpreter's lock while the loop is still reading the letters that belong to the batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any, Final

import apsw

from ekiden.ports.spool import SpoolFailed
from ekiden.storage.sqlite.connection import DatabaseRefused, WriteLock, transaction
from ekiden.storage.sqlite.schema import OWN, WORK_WIDTH

#: Bounds the time in which other processes wait (about 10 ms for 256 letters of 4 KiB), and is one statement's rows;
#: a statement has the next power of two, so that few are ever compiled.
MAX_BATCH: Final = 256

#: After these the connection is not trusted any more (rule 5).
BROKEN: Final = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.ProtocolError)


class Verb:
    """What is to be done in one transaction, and who waits for it.

    `act` runs on the writer's thread, possibly twice (rule 4), and gives the result. `after` runs there when it is
    committed. `settled` runs on the loop before the future is set, `abandoned` instead of that if it was committed
    but nobody waits any more. `unknown`: it failed, but may have been committed (rule 5).
    """

    __slots__ = ("abandoned", "act", "after", "error", "future", "result", "settled", "unknown")

    def __init__(self, act: Callable[[apsw.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.act = act
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None
        self.after: Callable[[], None] | None = None
        self.settled: Callable[[Verb], None] | None = None
        self.abandoned: Callable[[Verb], None] | None = None
        self.unknown = False

    @property
    def makes_claims(self) -> bool:
        """Whether its result is claims, which a spool that is closing must not make any more."""
        return self.abandoned is not None

    def fail(self, error: SpoolFailed) -> None:
        """On the loop, instead of submitting it."""
        self.error = error
        self.settle()

    def settle(self) -> None:
        """On the loop: tells who waits."""
        future = self.future
        if self.settled:
            self.settled(self)
        if future.done():
            if self.error is None and self.abandoned:
                self.abandoned(self)
        elif self.error is None:
            future.set_result(self.result)
        else:
            future.set_exception(self.error)
            future.exception()  # a record that nobody awaits must not end in a complaint about that


class Accept(Verb):
    """A new letter: `row` for `work`, `more` for the legs after the first; `result` is known beforehand."""

    __slots__ = ("more", "row")

    def __init__(self, future: asyncio.Future[Any], row: tuple[Any, ...], more: Sequence[tuple[Any, ...]]) -> None:
        super().__init__(_nothing, future)
        self.row = row
        self.more = more


class Finish(Verb):
    """The last word on a leg whose content is no file and that leaves nothing behind: `row` for `work`."""

    __slots__ = ("row",)

    def __init__(self, future: asyncio.Future[Any], letter: int, number: int, owner: int, entry: bytes) -> None:
        super().__init__(_nothing, future)
        self.row = (letter, number, entry, None, None, None, None, None, owner, None)


class Retell(Verb):
    """A record that is more than a Finish: a verb of its own, but no barrier."""

    __slots__ = ()


def _nothing(_: apsw.Connection) -> None:
    return None


class Writer:
    """`open_connection` gives a fresh connection with the schema in place. `is_full`: whether an I/O error has a full
    disk for its cause."""

    def __init__(
        self,
        open_connection: Callable[[], apsw.Connection],
        lock: WriteLock,
        is_full: Callable[[], bool],
    ) -> None:
        self._open_connection = open_connection
        self._lost: list[tuple[Any, ...]] = []
        self._connection: apsw.Connection | None = self._open()
        self._lock = lock
        self._is_full = is_full
        self._pending: deque[Verb] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._called = False
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="ekiden-spool-writer", daemon=True)

    def submit(self, verb: Verb) -> None:
        """On the loop's thread; never waits."""
        if self._loop is None:
            self._loop = verb.future.get_loop()
            self._thread.start()
        self._pending.append(verb)
        if self._asleep and not self._called:
            self._called = True
            self._loop.call_soon(self._rouse)

    def _rouse(self) -> None:
        """At the end of the loop's turn (rule 6)."""
        self._called = False
        if self._asleep:
            self._asleep = False
            self._wake.put(None)

    def stop(self) -> None:
        """Commits what is pending, then ends the thread; blocks until that. `submit` must not be called any more."""
        self._stopping = True
        self._wake.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._drop_connection()
        self._lock.close()

    # On the writer's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        pending = self._pending
        while True:
            if not pending:
                if self._stopping:
                    return
                self._asleep = True
                if not pending:  # asked again: a verb may have come between the question and going to sleep
                    self._wake.get()
                self._asleep = False
                continue
            batch = [pending.popleft() for _ in range(min(len(pending), MAX_BATCH))]
            self._commit(batch)
            for verb in batch:
                if verb.after and verb.error is None:
                    _quietly(verb.after)
            self._tell(batch)

    def _tell(self, batch: Sequence[Verb]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_settle, batch)
        except RuntimeError:  # the loop was closed under us: nobody is left to be told
            self._stopping = True

    def _commit(self, batch: Sequence[Verb]) -> None:
        connection = self._ready(batch)
        if connection is None:
            return
        try:
            self._transact(connection, batch)
        except BROKEN as error:
            self._break_off(batch, error)
        except Exception as error:  # rule 4
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                for number, verb in enumerate(batch):
                    self._commit((verb,))
                    if self._connection is None:
                        self._fail(batch[number + 1 :], error)
                        return

    def _transact(self, connection: apsw.Connection, batch: Sequence[Verb]) -> None:
        self._lost.clear()
        accepts, finishes, plain = _sorted(batch)
        if plain:
            new = [verb.row for verb in accepts] + [verb.row for verb in finishes]
            with self._lock:
                insert(connection, new)  # one statement is a transaction by itself
        else:
            with self._lock, transaction(connection):
                _run(connection, batch)
        self._judge(finishes)

    def _judge(self, finishes: Sequence[Finish]) -> None:
        """Of two words on one leg, the first was the last word."""
        lost = Counter(self._lost)
        for verb in reversed(finishes):
            key = verb.row[:2]
            verb.result = not lost[key]
            lost[key] -= not verb.result

    def _open(self) -> apsw.Connection:
        connection = self._open_connection()
        connection.create_scalar_function("lost", self._note_lost, 2, flags=apsw.SQLITE_INNOCUOUS)
        for statement in OWN:
            connection.execute(statement)
        return connection

    def _note_lost(self, *key: Any) -> None:
        self._lost.append(key)

    def _ready(self, batch: Sequence[Verb]) -> apsw.Connection | None:
        """The connection, made anew if it was lost; None if that failed, and the verbs with it."""
        if self._connection is None:
            try:
                self._connection = self._open()
            except (DatabaseRefused, apsw.Error, OSError) as error:
                self._fail(batch, error)
        return self._connection

    def _break_off(self, batch: Sequence[Verb], error: Exception) -> None:
        self._drop_connection()
        self._fail(batch, error)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except apsw.Error:
                return  # it was broken; what it held is recovered from the write-ahead log

    def _fail(self, batch: Sequence[Verb], error: Exception) -> None:
        full = isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and self._is_full())
        unknown = isinstance(error, BROKEN)
        for verb in batch:
            verb.error = SpoolFailed(f"{type(error).__name__}: {error}", full=full)
            verb.error.__cause__ = error
            verb.unknown = unknown


def _sorted(batch: Sequence[Verb]) -> tuple[list[Accept], list[Finish], bool]:
    """Accepts, finishes, and whether one statement for them is all that the batch needs."""
    accepts: list[Accept] = []
    finishes: list[Finish] = []
    plain = True
    for verb in batch:
        if type(verb) is Accept:
            accepts.append(verb)
            plain = plain and not verb.more
        elif type(verb) is Finish:
            finishes.append(verb)
        else:
            plain = False
    return accepts, finishes, plain


def _run(connection: apsw.Connection, batch: Iterable[Verb]) -> None:
    """Everything of `batch` within the transaction that is open; what commutes is gathered up to each barrier."""
    gathered: list[Verb] = []
    for verb in batch:
        if isinstance(verb, (Accept, Finish, Retell)):
            gathered.append(verb)
        else:
            _run_gathered(connection, gathered)
            gathered.clear()
            verb.result = verb.act(connection)
    _run_gathered(connection, gathered)


def _run_gathered(connection: apsw.Connection, verbs: Sequence[Verb]) -> None:
    accepts, finishes, _ = _sorted(verbs)
    insert(connection, [verb.row for verb in accepts] + [verb.row for verb in finishes])
    insert_legs(connection, [row for verb in accepts for row in verb.more])
    for verb in verbs:
        if type(verb) is Retell:
            verb.result = verb.act(connection)


_statements: dict[int, str] = {}
_ROW: Final = f"({','.join('?' * WORK_WIDTH)})"


def insert(connection: apsw.Connection, new: Sequence[tuple[Any, ...]]) -> None:
    """At most MAX_BATCH rows into `work`, as one statement."""
    if not new:
        return
    count = 1 << (len(new) - 1).bit_length()
    statement = _statements.get(count)
    if statement is None:
        statement = _statements[count] = f"INSERT INTO work VALUES {','.join([_ROW] * count)}"
    values: list[Any] = []
    for row in new:
        values += row
    values += [None] * (WORK_WIDTH * (count - len(new)))
    connection.execute(statement, values)


def insert_legs(connection: apsw.Connection, new: Sequence[tuple[Any, ...]]) -> None:
    connection.executemany("INSERT INTO leg VALUES (?,?,?,?,?,?,?,?,'',?)", new)


def _settle(batch: Sequence[Verb]) -> None:
    for verb in batch:
        verb.settle()


def _quietly(act: Callable[[], None]) -> None:
    """Tidying after a commit; what it leaves undone is swept at the next start."""
    try:
        act()
    except OSError:
        return
