"""What waits at a site: round-robin over flows (accounts, sender domains), first come first served within one.

A sender with a hundred thousand letters delays the letters of others by one letter each, not by a hundred thousand.
"""

from __future__ import annotations

from collections import deque

from ekiden.delivery.attempt import Attempt


class FlowQueue:
    __slots__ = ("_flows", "_length", "_turns")

    def __init__(self) -> None:
        self._flows: dict[str, deque[Attempt]] = {}
        self._turns: deque[str] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, attempt: Attempt) -> None:
        self._waiting(attempt).append(attempt)
        self._length += 1

    def put_back(self, attempt: Attempt) -> None:
        """Before those of its flow that still wait."""
        self._waiting(attempt).appendleft(attempt)
        self._length += 1

    def pop(self) -> Attempt | None:
        """The next one in turn; None if nobody waits."""
        if not self._length:
            return None
        self._length -= 1
        flow = self._turns[0]
        waiting = self._flows[flow]
        attempt = waiting.popleft()
        if not waiting:
            self._turns.popleft()
            del self._flows[flow]
        elif len(self._turns) > 1:
            self._turns.rotate(-1)
        return attempt

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

    def _waiting(self, attempt: Attempt) -> deque[Attempt]:
        flow = attempt.claim.leg.flow
        waiting = self._flows.get(flow)
        if waiting is None:
            waiting = self._flows[flow] = deque()
            self._turns.append(flow)
        return waiting
