"""Numbered migrations: how a database's schema comes to be and grows.

Rules
1. A schema is a list of steps, each a list of SQL statements; `user_version` counts the steps that were taken. A step
   that was released is never changed; growth is a new step at the end.
2. All missing steps are taken in one transaction, or none.
3. `application_id` says which database of ours it is; a foreign or newer one is refused and left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from ekiden.storage.sqlite.connection import DatabaseRefused, transaction

Step = Sequence[str]


def migrate(connection: apsw.Connection, *, application_id: int, steps: Sequence[Step]) -> None:
    """Brings the database to `len(steps)`; safe to call from several processes at once. Raises DatabaseRefused."""
    if _version(connection, application_id) == len(steps):
        return
    with transaction(connection):
        done = _version(connection, application_id)  # another process may have been faster
        if done > len(steps):
            raise DatabaseRefused(
                f"{connection.filename} was written by a newer Ekiden (schema {done}, this one knows {len(steps)})"
            )
        for step in steps[done:]:
            for statement in step:
                connection.execute(statement)
        connection.pragma("application_id", application_id)
        connection.pragma("user_version", len(steps))


def require(connection: apsw.Connection, *, application_id: int, steps: Sequence[Step]) -> None:
    """For readers: the database must be exactly as this program expects it. Raises DatabaseRefused."""
    done = _version(connection, application_id)
    if done != len(steps):
        raise DatabaseRefused(
            f"{connection.filename} has schema {done}, this program reads {len(steps)}; "
            "start the server of the same version once"
        )


def _version(connection: apsw.Connection, application_id: int) -> int:
    found, version = connection.pragma("application_id"), int(connection.pragma("user_version"))
    if found == application_id:
        return version
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if found != 0 or version != 0 or tables:
        raise DatabaseRefused(f"{connection.filename} is not ours (application_id {found:#x})")
    return 0
