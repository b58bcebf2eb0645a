"""Watching a server: what its workers say, the queue and the sites, put together for one look. It changes nothing.

Rules
1. What workers say is a second old at most; of a worker that stands still nothing is told.
2. The queue is counted by reading all of its rows, which takes a tenth of a second for a million letters, and so are
   bans: the next count waits twenty times as long as the last one took.
3. Works beside a server that does not run: then there are no workers, and the queue is what it is.

Called by `cli.watch`, once a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from ekiden.admin.hindrances import all_hindered
from ekiden.admin.queue import QueueView
from ekiden.model import measures
from ekiden.model.door import Door
from ekiden.model.measures import Measure
from ekiden.ports.bans import Ban
from ekiden.ports.clock import Clock
from ekiden.ports.counts import LiveBoard, LiveRow
from ekiden.ports.spool import SiteStatus

#: Networks and rules of one look, the highest first.
SHOWN: Final = 10
_RATHER_LOOK: Final = 20.0


class DoorSight(NamedTuple):
    """`sessions`: now; the others: in the last minute."""

    door: str
    sessions: int
    ended: int
    letters: int
    logins: int


class Sight(NamedTuple):
    """One look. `time`: seconds since 1970. Everything but `queue`, `sites`, `bans` and the doors' sessions is of the
    last minute. `queue`: legs by state, and letters. `refused`: by rule, guards included. `guessers`: networks with
    wrong logins in the last half to one hour. `sites`: those that do not take all that waits. `bans`: networks."""

    time: float
    workers: int
    doors: list[DoorSight]
    letters_in: int
    letters_out: int
    bounced: int
    delayed: int
    logins: int
    logins_failed: int
    in_memory: int
    refused: list[tuple[str, int]]
    guessers: list[tuple[str, int]]
    queue: dict[str, int]
    sites: list[SiteStatus]
    bans: int


class BanReader(Protocol):
    """The reading half of `ports.bans.Bans`."""

    async def all(self) -> Sequence[Ban]: ...


class Watch:
    def __init__(self, board: LiveBoard, view: QueueView, bans: BanReader, clock: Clock) -> None:
        self._board = board
        self._view = view
        self._bans = bans
        self._clock = clock
        self._queue: dict[str, int] = {}
        self._banned: Sequence[Ban] = ()
        self._due = clock.monotonic()

    async def look(self) -> Sight:
        """Raises SpoolFailed, BansFailed."""
        rows = self._board.rows()
        now = self._clock.now()
        minute = _minute(rows)
        await self._count()
        return Sight(
            time=now,
            workers=len(rows),
            doors=_doors(rows, minute),
            letters_in=minute[measures.LETTERS_IN].total(),
            letters_out=minute[measures.LETTERS_OUT].total(),
            bounced=minute[measures.BOUNCED].total(),
            delayed=minute[measures.DELAYED].total(),
            logins=minute[measures.LOGINS].total(),
            logins_failed=minute[measures.LOGINS_FAILED].total(),
            in_memory=sum(row.in_memory for row in rows),
            refused=_refused(minute),
            guessers=_sum(dict(row.guessers) for row in rows).most_common(SHOWN),
            queue=self._queue,
            sites=all_hindered(await self._view.hindrances(), now),
            bans=sum(ban.lasts(now) for ban in self._banned),
        )

    async def _count(self) -> None:
        """Rule 2."""
        begun = self._clock.monotonic()
        if begun < self._due:
            return
        self._queue = await self._view.counts()
        self._banned = await self._bans.all()
        ended = self._clock.monotonic()
        self._due = ended + _RATHER_LOOK * (ended - begun)


def _sum(many: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in many:
        total.update(one)
    return total


def _minute(rows: list[LiveRow]) -> dict[Measure, Counter[str]]:
    return {measure: _sum(row.minute.get(measure.name, {}) for row in rows) for measure in measures.MEASURES}


def _doors(rows: list[LiveRow], minute: dict[Measure, Counter[str]]) -> list[DoorSight]:
    """Those that are open, in the usual order."""
    sessions = _sum(row.sessions for row in rows)
    return [
        DoorSight(
            door,
            sessions[door],
            minute[measures.SESSIONS][door],
            minute[measures.LETTERS_IN][door],
            minute[measures.LOGINS][door],
        )
        for door in Door
        if door in sessions
    ]


def _refused(minute: dict[Measure, Counter[str]]) -> list[tuple[str, int]]:
    """What a guard did often shows as a refusal by its rule, too: that is one."""
    return (minute[measures.REFUSED] | minute[measures.GUARDS]).most_common(SHOWN)
