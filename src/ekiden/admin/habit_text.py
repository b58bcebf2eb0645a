"""What is usual for an account, in words: for `ekiden account show`. Pure."""

from __future__ import annotations

from typing import Any

from ekiden.model.habits import Habits
from ekiden.policy.brake import BASELINE_DAYS, BASELINE_LETTERS, has_baseline


def habit_lines(habits: Habits | None, now: float) -> list[tuple[str, str]]:
    """Name and text of each line."""
    if habits is None:
        return [("usually", "nothing is known yet: it never sent")]
    lines = [("usually", _usually(habits, now)), ("hours (UTC)", _hours(habits)), ("networks", _networks(habits))]
    if habits.braked:
        lines.append(("held", f"its letters are held: {habits.reason}"))
    return lines


def habit_json(habits: Habits | None, now: float) -> dict[str, Any] | None:
    if habits is None:
        return None
    return {
        "since": habits.since,
        "letters": habits.letters,
        "baseline": has_baseline(habits, now),
        "most_recipients_a_day": _most(habits, "recipients"),
        "most_first_time_recipients_a_day": _most(habits, "first_time"),
        "failed": sum(day.failed for day in habits.days),
        "recipients": sum(day.recipients for day in habits.days),
        "hours": habits.hours,
        "networks": sorted(habits.networks),
        "braked": bool(habits.braked),
        "reason": habits.reason,
    }


def _usually(habits: Habits, now: float) -> str:
    days = max(int((now - habits.since) // 86_400), 0)
    if not has_baseline(habits, now):
        return (
            f"too little is known: {habits.letters} letters in {days} days "
            f"({BASELINE_LETTERS} in {BASELINE_DAYS} are needed)"
        )
    tried = sum(day.recipients for day in habits.days)
    failed = sum(day.failed for day in habits.days)
    share = round(100 * failed / tried) if tried else 0
    return (
        f"at most {_most(habits, 'recipients')} recipients a day, {_most(habits, 'first_time')} of them new; "
        f"{share} % failed; from {max(_most(habits, 'networks'), 1)} networks within an hour"
    )


def _hours(habits: Habits) -> str:
    """`8-11, 14`."""
    spans: list[tuple[int, int]] = []
    for hour in (hour for hour, letters in enumerate(habits.hours) if letters):
        if spans and spans[-1][1] == hour - 1:
            spans[-1] = (spans[-1][0], hour)
        else:
            spans.append((hour, hour))
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans) or "none yet"


def _networks(habits: Habits) -> str:
    names = list(habits.networks)[::-1]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none yet"


def _most(habits: Habits, field: str) -> int:
    return max((getattr(day, field) for day in habits.days), default=0)
