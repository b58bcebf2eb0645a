"""Concurrency: how many connections a site gets, within what its rules allow. Pure.

Rules
1. It begins with `START`. While nothing went wrong each letter that went well adds one connection (so that a quick site
   has all it may have after a dozen letters); after the first trouble each adds the n-th part of one.
2. Trouble takes half away, once in `SETTLE` seconds at most: what happened on ten connections at once is one thing that
   happened. Trouble is: 421, 4.7.x, a connection that was refused or lost, replies much slower than usual.
3. Never below one, never above what the rules allow.
4. Slow: a letter takes `SLOW` times as long as it usually does here, and more than `NOTICEABLE` seconds. What is usual
   is learnt from the quicker ones, and forgotten slowly, so that a site that became slow for good is not held down.

Called by a site of delivery: `succeed` once a letter, `judge` once a second.
"""

from __future__ import annotations

from typing import Final

#: Connections to a site of which nothing is known (Postfix: 5).
START: Final = 5
#: Seconds within which trouble counts once.
SETTLE: Final = 2.0
SLOW: Final = 4.0
NOTICEABLE: Final = 2.0
#: What a second's measure adds to what is usual, when it is slower than that.
FORGET: Final = 0.01


class Concurrency:
    """`allowed`: connections, rounded down; `most`: what the rules allow. Times: monotonic seconds."""

    __slots__ = ("_quick_start", "_settled", "_usual", "allowed", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = float(min(START, most))
        self._quick_start = True
        self._settled = 0.0
        self._usual = 0.0

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
        usual = self._usual
        if not usual or seconds < usual:
            self._usual = seconds
            return False
        self._usual = usual + (seconds - usual) * FORGET
        if seconds < NOTICEABLE or seconds < usual * SLOW:
            return False
        self.trouble(now)
        return True

    def limit(self, most: int) -> None:
        """New rules."""
        self.most = most
        self.allowed = min(self.allowed, float(most))

    def begin_anew(self) -> None:
        """After a rest."""
        self.allowed = float(min(START, self.most))
        self._usual = 0.0
