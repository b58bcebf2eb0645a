"""Looking for what happened, behind every face (CLI, later the console).

Rules
1. What is looked for is named as the events name it; a name that no event has is refused, with one that is near.
2. An event is shown with its sentence (`admin.event_text`); for programs, as its line in the log.

Called by `cli.events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ekiden.admin.event_text import event_names, sentence_of_line
from ekiden.ports.event_store import FoundEvents, KeptEvent


class NoSuchEvent(Exception):
    """`str()` is a sentence: what was wrong, what would be right."""


class ToldEvent(NamedTuple):
    """`fields`: all of the line, `time` and `event` among them."""

    time: float
    name: str
    sentence: str
    fields: dict[str, Any]


def check_names(texts: Sequence[str]) -> tuple[str, ...]:
    """As a query takes them: exact, or `login.*`. Raises NoSuchEvent."""
    return tuple(_check_name(text.strip().lower()) for text in texts)


def tell(found: FoundEvents) -> list[ToldEvent]:
    return [_told(event) for event in found.events]


def _told(event: KeptEvent) -> ToldEvent:
    fields: dict[str, Any] = msgspec.json.decode(event.line)
    return ToldEvent(event.time, str(fields.get("event", "")), sentence_of_line(event.line), fields)


def _check_name(text: str) -> str:
    known = event_names()
    prefix = text.removesuffix("*")
    if text in known or (prefix != text and any(name.startswith(prefix) for name in known)):
        return text
    noun = text.partition(".")[0]
    near = [name for name in known if name.partition(".")[0] == noun] or known
    raise NoSuchEvent(f"there is no event {text!r}; there is {', '.join(near)}; login.* means all that begin so")
