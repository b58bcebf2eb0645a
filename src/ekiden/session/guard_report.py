"""GuardReport: tells the postmaster that a guard acted, without filling the log.

Rules
1. A guard tells of one client or account once in `PAUSE` seconds, over all workers.
2. All guards together tell `MOST_A_MINUTE` times a minute; floods from a million addresses make no million lines.
3. Each act is counted, told or not.

One a worker, for life, made by the composition root.
"""

from __future__ import annotations

from typing import Final

from ekiden.model.events import GuardActed
from ekiden.model.measures import GUARDS
from ekiden.policy.guards import Guard
from ekiden.ports.counts import Counts
from ekiden.ports.events import EventSink
from ekiden.ports.tally import Tally

PAUSE: Final = 600.0
MOST_A_MINUTE: Final = 60
_MINUTE: Final = 60.0


class GuardReport:
    def __init__(self, tally: Tally, events: EventSink, counts: Counts | None = None) -> None:
        self._tally = tally
        self._events = events
        self._counts = counts

    def acted(
        self, guard: Guard, who: str, reason: str, *, door: str = "", client: str = "", account: str = ""
    ) -> None:
        """`who`: the network or account that is counted."""
        if self._counts is not None:
            self._counts.add(GUARDS, guard.name)
        name = f"told:{guard.name}:{who}"
        if self._tally.recall(name) is not None:
            return
        self._tally.remember(name, PAUSE)
        if self._tally.add("told", _MINUTE) <= MOST_A_MINUTE:
            self._events.emit(
                GuardActed(
                    guard=guard.name,
                    who=who,
                    reason=reason,
                    door=door,
                    client=client,
                    account=account,
                    level="warning",
                )
            )
