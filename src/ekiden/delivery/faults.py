"""Faults of ours during delivery: told as events, never to a peer, and never in the way of a letter.

A store or a directory that is down fails thousands of letters a second: of what is known one event a place and
`QUIET_SECONDS` is enough. What nobody expected gets an incident id and its stack each time.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from ekiden.model.events import InternalFault
from ekiden.model.ids import LetterId, render_id
from ekiden.ports.clock import Clock, Random
from ekiden.ports.events import EventSink

QUIET_SECONDS: Final = 10.0


class Faults:
    def __init__(self, events: EventSink, clock: Clock, random: Random) -> None:
        self._events = events
        self._clock = clock
        self._random = random
        self._last: dict[str, float] = {}

    def known(self, where: str, error: Exception, letter: LetterId | None = None) -> None:
        """Something that a port says can happen. `where`: one of our own few names."""
        now = self._clock.monotonic()
        if now - self._last.get(where, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._last[where] = now
        self._emit("", where, error, letter)

    def unexpected(self, where: str, error: BaseException, letter: LetterId | None = None) -> str:
        """A bug of ours; returns the incident id that a reply may name."""
        incident = self._random.token(6).hex()
        self._emit(incident, where, error, letter, "".join(traceback.format_exception(error)))
        return incident

    def _emit(self, incident: str, where: str, error: BaseException, letter: LetterId | None, stack: str = "") -> None:
        text = f"{type(error).__name__}: {error}"
        self._events.emit(
            InternalFault(
                incident=incident,
                where=where,
                error=text,
                stack=stack,
                letter="" if letter is None else render_id(letter),
                level="error" if incident else "warning",
            )
        )


class Tasks:
    """The tasks of delivery: few (one a connection that is being opened, one a large content, a few for mailboxes).
    Each is held here, and what it raises becomes an event."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], where: str = "delivery.content") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=where)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, where))
        return task

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def join(self) -> None:
        """Until all have ended, also those that begin meanwhile."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _ended(self, where: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._faults.unexpected(where, error)
