"""One SQLite file a day (UTC) in a folder: what history and events have in common (DESIGN §5).

A file is dropped whole, which costs nothing however much is in it. Called by `storage.sqlite.history` and
`storage.sqlite.events`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw

from ekiden.storage.sqlite.connection import DatabaseRefused, open_for_reading
from ekiden.storage.sqlite.migrations import Step, require

#: Rows of one statement that inserts.
ROWS: Final = 250


def day_of(time: float) -> str:
    """`2026-11-22` in UTC. Times beyond what a calendar can hold go to its first day."""
    try:
        return datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return datetime.date.min.isoformat()


class DayFiles:
    """The day files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[str]:
        """Oldest first."""
        return sorted(path.stem for path in self.folder.glob("????-??-??.db"))

    def path(self, day: str) -> Path:
        return self.folder / f"{day}.db"

    def octets(self, day: str) -> int:
        """Without what waits in its write-ahead log."""
        try:
            return self.path(day).stat().st_size
        except FileNotFoundError:
            return 0

    def drop(self, day: str) -> None:
        """Nobody of this process may have it open."""
        path = self.path(day)
        path.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def reader(self, day: str, *, application_id: int, steps: Sequence[Step]) -> apsw.Connection | None:
        """None: dropped meanwhile, or about to get its tables. Raises DatabaseRefused."""
        try:
            connection = open_for_reading(self.path(day))
        except DatabaseRefused:
            if self.path(day).exists():
                raise
            return None
        try:
            if connection.pragma("user_version") == 0:
                connection.close()
                return None
            require(connection, application_id=application_id, steps=steps)
        except Exception:
            connection.close()
            raise
        return connection


def insert_many(connection: apsw.Connection, table: str, new: Sequence[tuple[Any, ...]]) -> None:
    """Many rows a statement: each call into SQLite gives the interpreter's lock away, and a busy loop keeps it.

    `table`: its name, and columns in brackets if not all are given."""
    for start in range(0, len(new), ROWS):
        part = new[start : start + ROWS]
        row = f"({','.join('?' * len(part[0]))})"
        values = [value for one in part for value in one]
        connection.execute(f"INSERT OR IGNORE INTO {table} VALUES {','.join([row] * len(part))}", values)
