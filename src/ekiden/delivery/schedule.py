"""The schedule: which legs are taken out of the store, and when.

Rules
1. A bounded window over an unbounded backlog: due legs are claimed when the window has room, in batches, never one by
   one. Nothing is loaded at start. Part of the window is left to fresh letters, so that they need not wait for the end
   of a backlog.
2. The store is looked at when something here made legs due (`nudge`), when the earliest is due, and every `POLL`
   seconds, because other processes make legs due too. A look is one question that reads (`next_due`); only what is
   due is claimed, which writes.
3. Legs for sites that are barred are not claimed: a backlog of a million of them costs nothing.
4. No timer: the worker's tick, once a second, wakes the loop (DESIGN §4 rule 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from ekiden.delivery.faults import Faults
from ekiden.ports.clock import Clock
from ekiden.ports.spool import Claim, Spool, SpoolFailed
from ekiden.spool.window import Window

#: Legs claimed at once: enough to share a commit, few enough that other workers get some.
BATCH: Final = 200
#: This part of the window (one in …) is left to letters that are born claimed.
FRESH_PART: Final = 4
#: How long what other processes made due may go unseen, in seconds.
POLL: Final = 2.0
#: The same, when what is due may all be for sites that are barred.
AVOIDED_POLL: Final = 1.0


class Scheduler:
    """`take`: gets claims that were counted into the window; they are its own then. It must not raise. `avoid`:
    next-hop keys whose legs are not wanted now (`ways`)."""

    def __init__(
        self,
        spool: Spool,
        window: Window,
        clock: Clock,
        faults: Faults,
        take: Callable[[list[Claim]], None],
        avoid: Callable[[], Collection[str]],
    ) -> None:
        self._spool = spool
        self._window = window
        self._clock = clock
        self._faults = faults
        self._take = take
        self._avoid = avoid
        self._wake = asyncio.Event()
        self._wake.set()
        self._look_at = 0.0
        self._starved = False
        self._stopped = False

    def nudge(self) -> None:
        """Look now: something became due."""
        self._wake.set()

    def freed(self) -> None:
        """Claims left the window: go on if more are waiting. Cheap; called for every record."""
        if self._starved and self._room() >= self._least_room():
            self._wake.set()

    def tick(self, now: float) -> None:
        """`now`: monotonic seconds."""
        if now >= self._look_at:
            self._wake.set()

    def stop(self) -> None:
        """`run` ends; claims on their way to us are still handed to `take`."""
        self._stopped = True
        self._wake.set()

    async def run(self) -> None:
        while not self._stopped:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except SpoolFailed as error:
                self._faults.known("delivery.claim", error)
                self._look_at = self._clock.monotonic() + POLL

    async def _look(self) -> None:
        self._starved = False
        while not self._stopped:
            room = self._room()
            if room < self._least_room():
                self._starved = True
                self._look_at = self._clock.monotonic() + POLL
                return
            avoid = self._avoid()
            due = await self._spool.next_due(avoid)
            wait = POLL if due is None else due - self._clock.now()
            if wait > 0:
                self._look_at = self._clock.monotonic() + min(wait, POLL)
                return
            claims = await self._spool.claim(
                self._clock.now(), min(room, BATCH, max(self._window.letters // 4, 1)), avoid=self._avoid()
            )
            if not claims:  # another worker was faster, or all that is due is for sites that are barred
                self._look_at = self._clock.monotonic() + (AVOIDED_POLL if avoid else POLL)
                return
            self._window.take(claims)
            self._take(claims)

    def _room(self) -> int:
        return self._window.room - self._window.letters // FRESH_PART

    def _least_room(self) -> int:
        """Not every single leg that leaves is worth a claim of one."""
        return max(1, min(BATCH, self._window.letters // 10))
