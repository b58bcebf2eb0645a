"""Opening SQLite databases, the one way of this house: WAL, a stated `synchronous`, every pragma read back.

Rules
1. SQLite versions with the WAL-reset bug (3.7.0 to 3.51.2: two connections on one file can corrupt it) are refused.
2. `apsw.Connection.execute("pragma a; pragma b")` stops at the first row that comes back: pragmas are set one by one
   and read back, and a database that did not take one is refused.
3. A database says whose it is (`application_id`) and how far its schema went (`user_version`): see `migrations`.
4. Files are made for the service user alone (0600) and their directory entry is synced before anything is stored.
5. Nobody opens and closes a database file by other means while it is in use: closing any descriptor of it would drop
   SQLite's POSIX locks in the whole process.

Called by every engine in `storage.sqlite`; used off the event loop's thread, except at start and end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import apsw

#: The first version without the WAL-reset bug.
OLDEST_SAFE: Final = (3, 51, 3)
#: How long SQLite itself waits for a lock. Writers queue on a flock of their own (`WriteLock`), so this only
#: bridges opening, checkpoints and recovery.
BUSY_TIMEOUT_MS: Final = 10_000

#: How often somebody with patience asks for a lock.
_AGAIN: Final = 0.01
#: `PRAGMA synchronous` as it is read back.
_SYNCHRONOUS: Final = {"NORMAL": 1, "FULL": 2, "EXTRA": 3}


class DatabaseRefused(Exception):
    """The database can not be used as it is; `str()` is one sentence for the postmaster. Nothing was changed."""


def check_version(version: str | None = None) -> None:
    """Raises DatabaseRefused for a SQLite library that could corrupt what we store."""
    found = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in found.split(".")[:3]) < OLDEST_SAFE:
        wanted = ".".join(map(str, OLDEST_SAFE))
        raise DatabaseRefused(f"SQLite {found} can corrupt a database in use by two processes; {wanted} is needed")


def open_database(
    path: Path | str, *, synchronous: Literal["NORMAL", "FULL", "EXTRA"], patience: float | None = None
) -> apsw.Connection:
    """Opens `path` for reading and writing, makes it if it is missing. WAL; foreign keys and triggers as SQLite's.

    `synchronous`: FULL for what was promised to somebody (every commit is synced), NORMAL where losing the last
    seconds at a power cut is agreed. `patience`: seconds that each wait for another process may take, for who must
    never hang; None: as long as it takes. Raises DatabaseRefused.
    """
    check_version()
    path = Path(path)
    try:
        with _turn(path.parent, patience):
            _make_file(path)
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS if patience is None else int(patience * 1000))
            _set_pragma(connection, "journal_mode", "WAL", "wal")
            _set_pragma(connection, "synchronous", synchronous, _SYNCHRONOUS[synchronous])
            _set_pragma(connection, "trusted_schema", "OFF", 0)
    except apsw.Error as error:
        raise DatabaseRefused(f"{path} can not be opened as a database: {error}") from error
    except OSError as error:
        raise DatabaseRefused(f"{path} can not be opened: {error.strerror}") from error
    return connection


def open_for_reading(path: Path | str) -> apsw.Connection:
    """Opens what exists; can not write. Beside a running server this takes no lock that a writer waits for.

    Raises DatabaseRefused, also if there is no such database.
    """
    check_version()
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        _set_pragma(connection, "query_only", "ON", 1)
        connection.pragma("user_version")  # a file that is no database shows itself only when it is read
    except apsw.Error as error:
        raise DatabaseRefused(f"{path} can not be read as a database: {error}") from error
    return connection


def rows(connection: apsw.Connection, question: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of an answer; the columns' types are what the schema says."""
    found: list[Any] = connection.execute(question, values).fetchall()
    return found


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE to COMMIT; whatever is raised in between rolls back and goes on."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def sync_directory(folder: Path | str) -> None:
    """Makes names that were added to or removed from `folder` survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class WriteLock:
    """A fair queue before SQLite's writer lock: held from BEGIN IMMEDIATE to COMMIT (DESIGN §4).

    SQLite's own waiting sleeps and is unfair; the kernel hands a flock on in the order of asking. One object a
    thread; `with lock:`. The file is a side file that holds nothing and is never removed. With `patience` (seconds)
    it raises TimeoutError instead of waiting for longer.
    """

    __slots__ = ("_descriptor", "_patience")

    def __init__(self, path: Path | str, patience: float | None = None) -> None:
        self._patience = patience
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        _take(self._descriptor, self._patience)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


def _make_file(path: Path) -> None:
    """Rule 4. O_EXCL: an existing file is not even opened (rule 5)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    sync_directory(path.parent)


@contextmanager
def _turn(folder: Path, patience: float | None) -> Iterator[None]:
    """Processes open the databases of one folder one after the other: only the first one switches to WAL."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _take(descriptor, patience)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, patience: float | None) -> None:
    """Raises TimeoutError (an OSError)."""
    if patience is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process does not give way") from None
            time.sleep(_AGAIN)


def _set_pragma(connection: apsw.Connection, name: str, value: str, expected: object) -> None:
    connection.pragma(name, value)
    found = connection.pragma(name)
    if found != expected:
        connection.close()
        raise apsw.Error(f"PRAGMA {name} is {found!r}, not {expected!r}")
