"""Bells: how the workers of one server wake each other. One eventfd a worker, made before the fork.

Rules
1. Who rings adds to the counters of all others; the kernel keeps one number, so many rings wake once. A worker that
   was made anew inherits its bell, with what was rung meanwhile.
2. `ring` is remembered until the end of the loop's turn: one write a worker and turn, however often it is called.
3. Commands (`ekiden queue …`) have no bell. What they make due is seen by the scheduler's own look at the store, within
   two seconds (`delivery.schedule`); that is soon enough for a person, and needs no door that others could knock at.

Made by `app.supervisor`; used by `app.compose` as the port `Wakeup`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable


class Bells:
    """Of all workers. Made by the supervisor; its children inherit the descriptors."""

    def __init__(self, workers: int) -> None:
        self._bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(workers)]

    def of(self, slot: int) -> tuple[int, list[int]]:
        """The descriptor to listen at, and those to ring."""
        return self._bells[slot], [bell for number, bell in enumerate(self._bells) if number != slot]

    def close(self) -> None:
        for bell in self._bells:
            os.close(bell)
        self._bells = []


class WorkerBell:
    """The port `Wakeup` for one worker, on the running loop."""

    def __init__(self, mine: int, others: list[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._mine = mine
        self._others = others
        self._ringing = False
        self._heard: Callable[[], None] | None = None

    def ring(self) -> None:
        if not self._ringing and self._others:
            self._ringing = True
            self._loop.call_soon(self._ring)

    def on_ring(self, callback: Callable[[], None]) -> None:
        if self._heard is None:
            self._loop.add_reader(self._mine, self._listen)
        self._heard = callback

    def close(self) -> None:
        """Says what is still to be said. The descriptors stay: they are the supervisor's."""
        if self._ringing:
            self._ring()
        if self._heard is not None:
            self._loop.remove_reader(self._mine)
            self._heard = None

    def _ring(self) -> None:
        self._ringing = False
        for bell in self._others:
            with contextlib.suppress(BlockingIOError):  # 2^64 rings unheard: it is told already
                os.eventfd_write(bell, 1)

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._mine)
        if self._heard is not None:
            self._heard()
