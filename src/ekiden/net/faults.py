"""An exception that a callback raised, as an event with an incident id (invariant 7)."""

from __future__ import annotations

import traceback

from ekiden.model.events import InternalFault
from ekiden.ports.clock import Random
from ekiden.ports.events import EventSink


def report_fault(events: EventSink, random: Random, where: str, error: BaseException) -> str:
    """Emits `fault.internal`; returns the incident id."""
    incident = random.token(8).hex()
    stack = "".join(traceback.format_exception(error))
    events.emit(InternalFault(incident=incident, where=where, error=repr(error), stack=stack))
    return incident
