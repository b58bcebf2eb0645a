"""Concurrency: how many connections a site gets, within what its rules allow. Pure.

Rules
1. It begins with `START`. While nothing went wrong each letter that went well adds one connection (so that a quick site
   has all it may have after a dozen letters); after the first trouble each adds the n-th part of one.
2. Trouble takes half away, once in `SETTLE` seconds at most: what happened on ten connections at once is one thing that
   happened. Trouble is: 421, 4.7.x, a connection that was refused or lost.
3. Never below one, never above what the rules allow.
4. So are replies much slower than usual: a letter takes `SLOW` times as long as in the best second of the last one or
   two `MEMORY`, and more than `NOTICEABLE` seconds, `IN_A_ROW` times in a row. It says less than a reply (our own
   machine may be what is slow), so it takes no more than a third of what the rules allow, and a second that took
   longer than a second (`LATE`: our own loop stood still) says nothing. A site that became slow for good is as usual
   soon.

Called by a site of delivery: `succeed` once a letter, `judge` once a second.
"""

from __future__ import annotations

from math import inf
from typing import Final

#: Connections to a site of which nothing is known (Postfix: 5).
START: Final = 5
#: Seconds within which trouble counts once.
SETTLE: Final = 2.0
SLOW: Final = 4.0
NOTICEABLE: Final = 2.0
IN_A_ROW: Final = 3
#: The best second is that of the present and the last so many seconds.
MEMORY: Final = 30.0
#: Seconds between two measures, beyond which they are not in a row.
LATE: Final = 1.5
#: What slowness leaves of what the rules allow.
LEFT_BY_SLOWNESS: Final = 2 / 3


class Concurrency:
    """`allowed`: connections, rounded down; `most`: what the rules allow. Times: monotonic seconds."""

    __slots__ = (
        "_best",
        "_best_before",
        "_best_until",
        "_judged",
        "_quick_start",
        "_settled",
        "_slow",
        "allowed",
        "most",
    )

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = float(min(START, most))
        self._quick_start = True
        self._settled = 0.0
        self._best = self._best_before = inf
        self._best_until = self._judged = -inf
        self._slow = 0

    def succeed(self) -> None:
        """A letter got an answer that speaks of the letter, and not of us or of the site."""
        if self.allowed < self.most:
            self.allowed = min(self.allowed + (1.0 if self._quick_start else 1.0 / self.allowed), float(self.most))

    def trouble(self, now: float) -> None:
        self._quick_start = False
        if now >= self._settled:
            self._settled = now + SETTLE
            self.allowed = max(1.0, self.allowed / 2)

    def judge(self, seconds: float, now: float) -> bool:
        """`seconds`: what a letter took in the last second, on average. True: that was slow, and counts as trouble."""
        in_time, self._judged = now - self._judged <= LATE, now
        if now >= self._best_until:
            self._best_before = self._best if now < self._best_until + MEMORY else inf
            self._best, self._best_until = inf, now + MEMORY
        self._best = min(self._best, seconds)
        is_slow = in_time and seconds >= NOTICEABLE and seconds >= min(self._best, self._best_before) * SLOW
        self._slow = self._slow + 1 if is_slow else 0
        if self._slow < IN_A_ROW:
            return False
        self._slow = 0
        left = max(1.0, self.most * LEFT_BY_SLOWNESS)
        if self.allowed <= left:
            return False
        self._quick_start = False
        self.allowed = max(left, self.allowed / 2)
        return True

    def limit(self, most: int) -> None:
        """New rules."""
        self.most = most
        self.allowed = min(self.allowed, float(most))

    def begin_anew(self) -> None:
        """After a rest."""
        self.allowed = float(min(START, self.most))
        self._forget_speed()

    def _forget_speed(self) -> None:
        self._best = self._best_before = inf
        self._best_until = self._judged = -inf
        self._slow = 0
