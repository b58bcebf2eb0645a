"""Rates: how many a minute, kept as one number a rate, exact for every window. Pure arithmetic for all engines.

The number is the *theoretical arrival time* of the generic cell rate algorithm (ITU-T I.371): the moment up to which
what was granted fills the rate. A token is given when it lies at most `burst - 1` intervals ahead, and moves it on by
one interval. Within any span of S seconds at most `burst + S / interval` are then given, so the interval is chosen so
that this is at most `per_minute` for the 60 seconds of a window, those for which tokens may be kept before use
(`TOKEN_SECONDS`), and a second for ways of different length. It costs 3 to 5 % of the rate.

The burst is a second's worth and one: who asks once a second (the tick of a site) never finds that tokens were lost
because nobody came for them. Of rates below `SLOW` a burst would be a large part.

A time that lies in the past says nothing: a rate that was forgotten then is as good as remembered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.ports.slots import TOKEN_SECONDS, Grant

#: What the tokens of a minute are spread over, in seconds.
SPAN: Final = 60.0 + TOKEN_SECONDS + 1.0
#: A minute; below it tokens come one by one.
SLOW: Final = 10


class Rate(NamedTuple):
    """`burst`: tokens given at once, at most. `interval`: seconds a token takes."""

    burst: int
    interval: float

    @property
    def furthest(self) -> float:
        """How far ahead of now an arrival time can lie; what lies further is from another boot or clock."""
        return self.burst * self.interval


def rate_of(per_minute: int) -> Rate:
    if per_minute < 1:
        raise ValueError(f"a rate of {per_minute} a minute never grants anything")
    burst = -(-per_minute // 60) + 1 if per_minute >= SLOW else 1
    return Rate(burst, SPAN / (per_minute + 1 - burst))


def spend(arrival: float, now: float, rate: Rate, wanted: int) -> tuple[Grant, float]:
    """What is granted at `now`, and the arrival time that is to be kept then. `arrival` 0.0: nothing known."""
    ahead = max(arrival - now, 0.0)
    free = rate.burst - ahead / rate.interval
    granted = min(int(free + 1e-9), wanted)
    if granted < 1:
        return Grant(0, ahead - (rate.burst - 1) * rate.interval), arrival
    return Grant(granted, 0.0), now + ahead + granted * rate.interval
