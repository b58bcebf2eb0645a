"""What waits at a site: higher MT-PRIORITY first, round-robin over flows within one, first come first served within a
flow.

A sender with a hundred thousand letters delays the letters of others by one letter each, not by a hundred thousand.
A flood of higher priority does not starve the rest either: every `SHARE`-th letter is of the lowest priority that
waits. Who may give a priority is decided where letters are accepted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ekiden.delivery.attempt import Attempt

#: One letter in so many is taken from those that wait with the lowest priority.
SHARE: Final = 8


class _Level:
    """What waits with one priority."""

    __slots__ = ("flows", "turns")

    def __init__(self) -> None:
        self.flows: dict[str, deque[Attempt]] = {}
        self.turns: deque[str] = deque()

    def waiting(self, attempt: Attempt) -> deque[Attempt]:
        flow = attempt.claim.leg.flow
        waiting = self.flows.get(flow)
        if waiting is None:
            waiting = self.flows[flow] = deque()
            self.turns.append(flow)
        return waiting

    def pop(self) -> Attempt:
        turns = self.turns
        flow = turns[0]
        waiting = self.flows[flow]
        attempt = waiting.popleft()
        if not waiting:
            turns.popleft()
            del self.flows[flow]
        elif len(turns) > 1:
            turns.rotate(-1)
        return attempt


class FlowQueue:
    """`length`: attempts that wait; read for each letter, so it is a plain number."""

    __slots__ = ("_levels", "_order", "_taken", "_usual", "length")

    def __init__(self) -> None:
        self._usual = _Level()  # priority 0: nearly always the only one
        self._levels: dict[int, _Level] = {0: self._usual}
        self._order: list[int] = [0]  # highest first; the usual level is always there
        self.length = 0
        self._taken = 0

    def __len__(self) -> int:
        return self.length

    def put(self, attempt: Attempt) -> None:
        self._level(attempt).waiting(attempt).append(attempt)
        self.length += 1

    def put_back(self, attempt: Attempt) -> None:
        """Before those of its flow that still wait."""
        self._level(attempt).waiting(attempt).appendleft(attempt)
        self.length += 1

    def pop(self) -> Attempt | None:
        """The next one in turn; None if nobody waits."""
        if not self.length:
            return None
        self.length -= 1
        if len(self._order) == 1:
            return self._usual.pop()
        return self._pop_by_priority()

    def shed(self, keep: int) -> list[Attempt]:
        """Takes out all but the `keep` whose turn comes first."""
        waiting = self.take_all()
        for attempt in waiting[:keep]:
            self.put(attempt)
        return waiting[keep:]

    def take_all(self) -> list[Attempt]:
        """Everything, in turn; the queue is empty then."""
        taken = []
        while (attempt := self.pop()) is not None:
            taken.append(attempt)
        return taken

    def take_if(self, wanted: Callable[[Attempt], bool]) -> list[Attempt]:
        """Takes out those that are wanted; the others keep their turns. If there are none, nothing is moved."""
        levels = self._levels.values()
        if not any(wanted(attempt) for level in levels for flow in level.flows.values() for attempt in flow):
            return []
        taken = []
        for attempt in self.take_all():
            if wanted(attempt):
                taken.append(attempt)
            else:
                self.put(attempt)
        return taken

    def _level(self, attempt: Attempt) -> _Level:
        priority = attempt.claim.leg.priority
        if not priority:
            return self._usual
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = _Level()
            self._order = sorted(self._levels, reverse=True)
        return level

    def _pop_by_priority(self) -> Attempt:
        self._taken += 1
        order = reversed(self._order) if self._taken % SHARE == 0 else self._order
        priority, level = next((number, self._levels[number]) for number in order if self._levels[number].turns)
        attempt = level.pop()
        if priority and not level.turns:
            del self._levels[priority]
            self._order = sorted(self._levels, reverse=True)
        return attempt
