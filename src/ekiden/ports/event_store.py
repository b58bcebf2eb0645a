"""EventStore: what happened in the last weeks, for questions; and EventKeeper, which takes it in.

Rules
1. An event is kept as its line in the log: JSON, with `time`, `pid` and `event` in front. Readers must bear fields they
   do not know, and names that this version does not have.
2. The store may lose: the last moment before a process is killed, what floods it, and what is older or more than it is
   told to keep. The log is the complete record.
3. Nothing that is promised to anybody depends on it; a store that fails must not fail the mail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

#: Where a reader is: opaque; what comes later comes behind it.
EventMark = Mapping[str, int]


class EventStoreFailed(Exception):
    """The store can not be asked; `str()` is one sentence for the postmaster."""


class EventEntry(NamedTuple):
    """An event to keep, with what it can be found by. `time`: seconds since 1970; `client`: an IP address or ''."""

    time: float
    name: str
    level: str
    account: str
    client: str
    door: str
    letter: str
    line: bytes


class EventQuery(NamedTuple):
    """What is looked for; all that is given must hold. '', () and None: whatever it is.

    `since` (included) and `until` (not): seconds since 1970. `networks`: CIDR or addresses, of the client. `names`:
    exact, or `login.*` for all that begin so. `level`: this one or a graver one. `limit`: the newest so many; with
    `after` the oldest so many behind that mark."""

    since: float | None = None
    until: float | None = None
    account: str = ""
    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    door: str = ""
    letter: str = ""
    level: str = ""
    limit: int = 100
    after: EventMark | None = None


class KeptEvent(NamedTuple):
    """`line`: one JSON object, without the newline."""

    time: float
    line: bytes


class FoundEvents(NamedTuple):
    """`events`: by time, the oldest first. `mark`: behind these; events that are written later come after it."""

    events: list[KeptEvent]
    mark: EventMark


class EventStore(Protocol):
    """For readers."""

    async def find(self, query: EventQuery) -> FoundEvents:
        """Raises EventStoreFailed."""


class EventKeeper(Protocol):
    """For the sink's own thread: blocking."""

    def write(self, entries: Sequence[EventEntry]) -> None:
        """All of a day (UTC) or none, and an exception of whatever class. A thousand at a time are a good load."""

    def tidy(self, now: float) -> None:
        """Drops what is too old or too much; cheap if there is nothing to do. Raises whatever went wrong."""

    def close(self) -> None: ...
