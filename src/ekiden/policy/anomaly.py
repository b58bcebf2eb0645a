"""Whether an hour's count is far from what the same hour usually has. Pure; all of it fits on a postcard.

Rules
1. An hour is compared with the same hour of the same weekday, in the last `WEEKS` weeks, and with the hours beside
   those: 24 numbers at most. (Summer time moves people by an hour; a newsletter goes out at ten or at eleven.) Only
   hours count in which the server was up for half of the time, and it must have counted for `MIN_DAYS` days.
2. *Usual* is the median of them; the *deviation* is 1.4826 times the median distance from it (of a normal
   distribution that is its standard deviation), and never less than the square root of the usual (what chance alone
   does to independent events, Poisson).
3. Too much: as much as the measure's floor, `TIMES` the usual, `DEVIATIONS` deviations above it, and more than any of
   the hours compared: what happened once a month lately is no surprise. 1 → 3 never is.
4. Too little, of a measure that can fall: usually `FALL_USUAL` or more, now a tenth of it or less, and less than half
   of the least of the hours compared. Only an hour that is over can be told to be so.

Asked by `admin.watchman` once a minute for each watched measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Final, NamedTuple

from ekiden.model.measures import Measure

HOUR: Final = 3600
DAY_HOURS: Final = 24
WEEK_HOURS: Final = 7 * DAY_HOURS
WEEKS: Final = 8
MIN_DAYS: Final = 14
#: Hours that must be there to be compared with: two weeks have six.
MIN_SAMPLES: Final = 4
TIMES: Final = 3
DEVIATIONS: Final = 6
FALL_USUAL: Final = 30
FALL_PART: Final = 10
#: Of a normal distribution: its standard deviation for its median distance from the median.
_NORMAL: Final = 1.4826


class Anomaly(NamedTuple):
    """`seen`: the hour's count so far; `usual` and `deviation` as in rule 2; `bound`: from where on it is one. `fell`:
    too little. `samples`: hours compared; `most` and `least` of them."""

    seen: int
    usual: float
    deviation: float
    bound: int
    fell: bool
    samples: int
    most: int
    least: int


def compared_hours(hour: int) -> list[int]:
    """Rule 1; hours since 1970."""
    return [hour - WEEK_HOURS * week + beside for week in range(1, WEEKS + 1) for beside in (-1, 0, 1)]


def judge(measure: Measure, count: int, samples: Sequence[int], *, is_over: bool) -> Anomaly | None:
    """`count`: of the hour, as far as it went (`is_over`: to its end). `samples`: of the hours compared."""
    if len(samples) < MIN_SAMPLES:
        return None
    usual = _median(samples)
    deviation = max(_NORMAL * _median([abs(one - usual) for one in samples]), sqrt(usual), 1.0)
    most, least = max(samples), min(samples)
    high = max(measure.floor, ceil(TIMES * usual), ceil(usual + DEVIATIONS * deviation), most + 1)
    if count >= high:
        return Anomaly(count, usual, deviation, high, fell=False, samples=len(samples), most=most, least=least)
    if not (measure.falls and is_over and usual >= FALL_USUAL):
        return None
    low = min(int(usual) // FALL_PART, (least - 1) // 2)
    if count > low:
        return None
    return Anomaly(count, usual, deviation, low, fell=True, samples=len(samples), most=most, least=least)


def _median(numbers: Sequence[float]) -> float:
    ordered, half = sorted(numbers), len(numbers) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
