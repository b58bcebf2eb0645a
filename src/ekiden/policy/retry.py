"""When a letter is tried again, and when it is given up (RFC 5321 §4.5.4.1).

Rules
1. Pauses grow: `retry_first`, each next one `retry_factor` times longer, `retry_longest` at most, and then up to
   `JITTER` more or less, so that letters which failed together do not come back together.
2. The last attempt is made when the letter expires, never after; then what is still delayed has failed.
3. The chance is given as a number (`jitter`, from -1 to 1): the same input gives the same schedule.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from ekiden.config.model import Delivery

#: How far a pause may stray from the schedule, as a share of it.
JITTER: Final = 0.2


class RetrySchedule(NamedTuple):
    """Seconds, but for `factor`. Of `[delivery]`, or of a `[[site]]` that has its own."""

    first: float
    factor: float
    longest: float


def schedule_of(delivery: Delivery) -> RetrySchedule:
    return RetrySchedule(delivery.retry_first, delivery.retry_factor, delivery.retry_longest)


def pause(attempts: int, schedule: RetrySchedule, jitter: float) -> float:
    """Seconds until the next attempt after `attempts` (1 or more) were made. `jitter`: from -1 to 1."""
    first, factor, longest = schedule
    base = min(first, longest)
    if attempts > 1 and 0 < first < longest and factor > 1:
        steps = attempts - 1
        # compared as logarithms: factor ** steps overflows long before a letter with a tiny first pause expires
        fits = steps * math.log(factor) < math.log(longest / first)
        base = first * factor**steps if fits else longest
    return base * (1 + JITTER * max(-1.0, min(1.0, jitter)))


def attempts_by(age: float, most: int, schedule: RetrySchedule) -> int:
    """How many attempts the schedule would have made of a letter in its first `age` seconds, `most` at most: what a
    letter may be counted that waits because its site rests."""
    made = 1 if most > 0 else 0
    due = 0.0
    while made < most and (due := due + pause(made, schedule, 0.0)) <= age:
        made += 1
    return made


def is_expired(arrived: float, now: float, delivery: Delivery) -> bool:
    """True if an attempt that ended at `now` was the last. Both: seconds since 1970."""
    return now - arrived >= delivery.expire_after


def next_attempt(
    arrived: float,
    now: float,
    attempts: int,
    delivery: Delivery,
    jitter: float,
    *,
    schedule: RetrySchedule | None = None,
) -> float:
    """When to try again (seconds since 1970), for a letter that is not expired: never after it expires, but once
    exactly then. `schedule`: the site's own, else that of `delivery`."""
    wait = pause(attempts, schedule or schedule_of(delivery), jitter)
    return min(now + wait, max(arrived + delivery.expire_after, now))


def delay_report_due(arrived: float, now: float, delivery: Delivery) -> bool:
    """True if the sender should be told (once a recipient) that it takes longer."""
    return now - arrived >= delivery.delay_report_after
