"""Events of processes that have no thread for them: the supervisor, and commands. Written at once, in the caller.

Rules
1. The store is opened for one event and closed again: nothing is open when the supervisor forks. These events are rare
   (a worker began or ended, a person changed something).
2. Nobody hangs: who waits longer than the keeper's patience gives up, and what could not be written is tried again with
   the next event, up to `MOST_PENDING`. The log has them all.

Called by `app.serving` and `app.stores`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ekiden.app.operator_log import OperatorLog
from ekiden.model.events import Event
from ekiden.ports.event_store import EventEntry, EventKeeper
from ekiden.telemetry.keeping import EntryMaker

MOST_PENDING: Final = 1000


class ReopeningLog(Protocol):
    def emit(self, event: Event) -> None: ...

    def reopen(self, path: str = "") -> None: ...


class DirectEvents:
    """`ports.events.EventSink` for the store alone."""

    def __init__(self, keeper: EventKeeper, now: Callable[[], float]) -> None:
        self._keeper = keeper
        self._now = now
        self._pending: list[EventEntry] = []

    def emit(self, event: Event) -> None:
        if not event.is_kept or len(self._pending) >= MOST_PENDING:
            return
        try:
            self._pending.append(EntryMaker().entry(self._now(), event))
            self._keeper.write(self._pending)
            self._pending.clear()
        except Exception:  # rule 2: nobody is left to tell but the log, which has the event
            return
        finally:
            self._keeper.close()


class SupervisorEvents:
    """`app.supervisor.SupervisorLog`: the log and the store."""

    def __init__(self, log: ReopeningLog, store: DirectEvents) -> None:
        self._log = log
        self._store = store

    def emit(self, event: Event) -> None:
        self._log.emit(event)
        self._store.emit(event)

    def reopen(self, path: str = "") -> None:
        self._log.reopen(path)


class OperatorEvents:
    """`app.stores.OpenSink` of a command."""

    def __init__(self, log: OperatorLog, store: DirectEvents) -> None:
        self._log = log
        self._store = store

    def emit(self, event: Event) -> None:
        self._log.emit(event)
        self._store.emit(event)

    def close(self) -> None:
        self._log.close()
