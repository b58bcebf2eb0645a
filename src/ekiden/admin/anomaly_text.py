"""An anomaly in words: the sentence of the event, and the mail to the postmaster. Pure."""

from __future__ import annotations

from typing import Final

from ekiden.model.events import AnomalyFound
from ekiden.model.measures import MEASURES, Measure

_MEASURES: Final = {measure.name: measure for measure in MEASURES}
_KEYS: Final = {"door": "doors", "account": "accounts", "site": "ways out", "rule": "rules"}
#: What to look at first.
_LOOK: Final = {
    "letters.in": "ekiden watch; ekiden events --since 2h; accounts that hand in much: see `ekiden queue list`",
    "letters.out": "ekiden queue shape; ekiden events --since 2h",
    "bounced": "ekiden queue shape; a list with dead addresses, or a stolen password: ekiden events --name 'login.*'",
    "refused": "ekiden events --name 'recipient.refused' --since 2h",
    "logins.failed": "ekiden events --name 'login.failed' --since 2h; ekiden watch shows the networks",
    "queue": "ekiden queue shape; ekiden queue sites",
}


def anomaly_sentence(event: AnomalyFound) -> str:
    """Without a stop."""
    title, usual = _title(event), f"{event.usual:,.0f}"
    if event.fell:
        return f"far too little: {event.count:,} {title} in an hour that usually has {usual}"
    mostly = f", mostly {_named(event)}" if event.top else ""
    return f"far more than usual: {event.count:,} {title} in an hour that usually has {usual}{mostly}"


def anomaly_letter(event: AnomalyFound) -> tuple[str, str]:
    """Subject and text of the mail."""
    title = _title(event)
    usual = f"usually {event.usual:,.0f}"
    if event.fell:
        subject = f"Far fewer {title} than usual: {event.count:,} ({usual})"
        bound = f"{event.bound:,} or fewer would have been told."
    else:
        subject = f"Far more {title} than usual: {event.count:,} ({usual})"
        bound = f"{event.bound:,} or more are told."
    lines = [
        f"In one hour there were {event.count:,} {title}; at this hour of the week there are {usual}.",
        "",
        f"Compared with {event.compared} hours: the same of the weekday in the last weeks, and those beside it.",
        f"They had {event.least:,} to {event.most:,}, with a deviation of {event.deviation:,.1f}. {bound}",
    ]
    if event.top:
        measure = _MEASURES.get(event.measure)
        kind = _KEYS.get(measure.by, "keys") if measure else "keys"
        lines += ["", f"The {kind} with the most:", *(f"    {n:>8,}  {key or '-'}" for key, n in event.top.items())]
    if event.measure in _LOOK:
        lines += ["", f"To look at: {_LOOK[event.measure]}"]
    lines += ["", "This is told once a day at most for each kind; `ekiden events --name anomaly.found` has each hour."]
    return subject, "\n".join(lines) + "\n"


def _title(event: AnomalyFound) -> str:
    measure: Measure | None = _MEASURES.get(event.measure)
    return measure.title if measure else event.measure


def _named(event: AnomalyFound) -> str:
    key, n = next(iter(event.top.items()))
    return f"{key or '-'} ({n:,})"
