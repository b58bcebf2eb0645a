"""Rest: how long a site that failed as a whole is left alone. Pure.

Rules
1. It failed as a whole when no host took a connection, or each one that did refused the session. Each such failure
   makes the pause twice as long, from `FIRST` to `LONGEST` seconds, with up to `JITTER` more or less, so that workers
   and sites that failed together do not come back together.
2. After the pause it is *probed*: one connection, one letter. A success ends the rest, and nothing of it is remembered.
3. The chance is given as a number (`jitter`, from -1 to 1).

Called by a site of delivery.
"""

from __future__ import annotations

from typing import Final

FIRST: Final = 10.0
LONGEST: Final = 900.0
JITTER: Final = 0.2


def pause(failures: int, jitter: float) -> float:
    """Seconds after `failures` (1 or more) in a row."""
    doublings = min(failures - 1, 20)
    return min(FIRST * 2.0**doublings, LONGEST) * (1 + JITTER * max(-1.0, min(1.0, jitter)))


class Rest:
    """`failures`: in a row; 0: all is well. `until`: monotonic seconds. `reason`: of the last failure."""

    __slots__ = ("failures", "reason", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0
        self.reason = ""

    def fail(self, reason: str, now: float, jitter: float) -> float:
        """How long it rests."""
        self.failures += 1
        self.reason = reason
        seconds = pause(self.failures, jitter)
        self.until = now + seconds
        return seconds

    def lasts(self, now: float) -> bool:
        return self.failures > 0 and now < self.until

    def end(self) -> bool:
        """A success. True if there was a rest to end."""
        rested = self.failures > 0
        self.failures = 0
        self.until = 0.0
        self.reason = ""
        return rested
