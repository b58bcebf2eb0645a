"""EventSink: where events go. `emit` never blocks, never raises, and may drop under pressure (drops are counted)."""

from __future__ import annotations

from typing import Protocol

from ekiden.model.events import Event


class EventSink(Protocol):
    def emit(self, event: Event) -> None: ...
