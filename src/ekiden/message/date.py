"""Dates as mail writes them: RFC 5322 §3.3 date-time, always UTC with `+0000`. Grade A: the caller brings the time.

RFC 5321 §4.4 would like local time; UTC is what servers' logs are compared in, and it needs no zone database.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_DAYS: Final = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")  # 1970-01-01 was a Thursday
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: 9999-12-31T23:59:59Z: a year has four digits in RFC 5322 §3.3 for all practical purposes.
_LATEST: Final = 253_402_300_799


def render_date(now: float) -> str:
    """`now`: seconds since 1970. Such as `Sat, 22 Nov 2025 16:05:09 +0000`.

    A clock gone mad (before 1970, after 9999) gives the nearest date that can be written, never an error."""
    return _render(min(max(int(now), 0), _LATEST))


@lru_cache(maxsize=64)  # many letters share a second
def _render(seconds: int) -> str:
    days, second = divmod(seconds, 86400)
    year, month, day = _civil(days)
    return (
        f"{_DAYS[days % 7]}, {day:02d} {_MONTHS[month - 1]} {year:04d} "
        f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d} +0000"
    )


def render_minute(when: float) -> str:
    """For people, such as `2025-11-22 16:06 UTC`: the first full minute at which `when` is over."""
    days, minute = divmod((min(max(int(when), 0), _LATEST - 60) + 59) // 60, 1440)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d} {minute // 60:02d}:{minute % 60:02d} UTC"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month, day of a number of days since 1970-01-01 in the Gregorian calendar.

    Years begin in March here, so that the leap day is a year's last; a cycle of 400 years has 146,097 days."""
    cycle, day_of_cycle = divmod(days + 719_468, 146_097)
    year = (day_of_cycle - day_of_cycle // 1460 + day_of_cycle // 36_524 - day_of_cycle // 146_096) // 365
    day_of_year = day_of_cycle - (365 * year + year // 4 - year // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year + cycle * 400 + (month <= 2), month, day
