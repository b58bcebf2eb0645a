"""CollectingSink: the events a test can look at."""

from __future__ import annotations

from typing import TypeVar

from ekiden.model.events import Event

E = TypeVar("E", bound=Event)


class CollectingSink:
    """`ports.events.EventSink` that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Those of one class, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} {kind.__name__} among {self.events}"
        return found[0]
