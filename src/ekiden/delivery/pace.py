"""Pace: how fast a site takes letters, and so how long what it holds will take.

It decides who must give part of the window back (see `dispatch`, rule 3): not who has much to do, but who is slow.
"""

from __future__ import annotations

from typing import Final

#: Seconds until a busy site's pace is known.
GRACE: Final = 3.0
#: Letters a second below which a site counts as stuck.
SLOWEST: Final = 0.1
#: How much of the old pace remains after a second, and of the count of letters put off, so that it is forgotten when
#: they do not come back.
PACE_KEPT, PUT_OFF_KEPT = 0.7, 0.98


class Pace:
    __slots__ = ("_busy_since", "_finished", "_put_off", "_rate")

    def __init__(self) -> None:
        self._finished = 0
        self._rate = 0.0
        self._put_off = 0.0
        self._busy_since = 0.0

    @property
    def is_forgotten(self) -> bool:
        """Nothing is remembered that a new site would not know."""
        return self._put_off < 1

    @property
    def rate(self) -> float:
        """Letters a second, lately."""
        return self._rate

    @property
    def is_stuck(self) -> bool:
        """Nothing was decided lately, as far as is known."""
        return not self._finished and self._rate < SLOWEST

    def begin(self, now: float) -> None:
        """The site held nothing and gets something to do. `now`: monotonic seconds, as everywhere here."""
        self._busy_since = now

    def finish(self) -> None:
        """One letter was decided."""
        self._finished += 1

    def put_off(self) -> None:
        """One letter for this site went back to the store."""
        self._put_off += 1

    def tick(self) -> None:
        """Once a second."""
        self._rate = PACE_KEPT * self._rate + (1 - PACE_KEPT) * self._finished
        self._put_off = max(0.0, self._put_off * PUT_OFF_KEPT - self._finished)
        self._finished = 0

    def seconds(self, held: int, now: float) -> float:
        """For `held` letters and those that were put off. 0 while the pace is unknown."""
        if now - self._busy_since < GRACE:
            return 0.0
        return (held + self._put_off) / max(self._rate, SLOWEST)
