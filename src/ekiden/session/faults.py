"""A fault of ours in a session: an event with its stack, and an incident id for the client (invariant 7).

Called by the SMTP and the POP3 sessions, which say the id in their protocol's words.
"""

from __future__ import annotations

import traceback

from ekiden.model.events import InternalFault
from ekiden.model.ids import IdSequence, render_id
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink


def report_fault(
    events: EventSink, ids: IdSequence, clock: Clock, *, session: int, where: str, error: BaseException
) -> str:
    """Emits `fault.internal`; returns the incident id. `where`: one of our own few names, never the client's words."""
    incident = render_id(ids.next(clock.now()))
    stack = "".join(traceback.format_exception(error))
    events.emit(
        InternalFault(incident=incident, where=where, error=repr(error), stack=stack, session=render_id(session))
    )
    return incident
