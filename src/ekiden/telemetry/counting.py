"""CountingSink: an EventSink that counts what passes (`model.measures`), and hands it on.

An event a letter and one an attempt is all that the hot path makes (`model.events`, rule 4), and counting one costs
less than a microsecond: nothing is added to the hot path itself. What is not told each time (acts of guards, refusals
at the door) is counted where it happens: `session.guard_report`, `session.knocks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ekiden.model import events, measures
from ekiden.model.events import Event
from ekiden.model.outcome import OutcomeKind
from ekiden.ports.counts import Counts
from ekiden.ports.events import EventSink
from ekiden.telemetry.guessers import Guessers

#: The `door` of letters that came by none.
NO_DOOR: Final = "own"


class CountingSink:
    def __init__(self, sink: EventSink, counts: Counts, guessers: Guessers) -> None:
        self._sink = sink
        self._counts = counts
        self._guessers = guessers

    def emit(self, event: Event) -> None:
        self._sink.emit(event)
        count = _COUNTED.get(type(event))
        if count is not None:
            count(self._counts, event)
        elif type(event) is events.LoginFailed:
            self._counts.add(measures.LOGINS_FAILED, event.account)
            self._guessers.failed(event.client)


def _session_closed(counts: Counts, event: events.SessionClosed) -> None:
    counts.add(measures.SESSIONS, event.door)


def _letter_accepted(counts: Counts, event: events.LetterAccepted) -> None:
    counts.add(measures.LETTERS_IN, event.door or NO_DOOR)
    if event.account:
        counts.add(measures.LETTERS_OF, event.account)


def _attempted(counts: Counts, event: events.AttemptFinished | events.AttemptSkipped) -> None:
    outcomes = event.outcomes
    if OutcomeKind.RELAYED in outcomes or OutcomeKind.DELIVERED in outcomes:
        counts.add(measures.LETTERS_OUT, event.next_hop)
    if failed := outcomes.get(OutcomeKind.FAILED):
        counts.add(measures.BOUNCED, event.next_hop, failed)
    if delayed := outcomes.get(OutcomeKind.DELAYED):
        counts.add(measures.DELAYED, event.next_hop, delayed)


def _login_succeeded(counts: Counts, event: events.LoginSucceeded) -> None:
    counts.add(measures.LOGINS, event.door)


def _refused(counts: Counts, event: events.RecipientRefused | events.SenderRefused | events.LetterRefused) -> None:
    counts.add(measures.REFUSED, event.rule)


_COUNTED: Final[dict[type[Event], Callable[[Counts, Any], None]]] = {
    events.SessionClosed: _session_closed,
    events.LetterAccepted: _letter_accepted,
    events.AttemptFinished: _attempted,
    events.AttemptSkipped: _attempted,
    events.LoginSucceeded: _login_succeeded,
    events.RecipientRefused: _refused,
    events.SenderRefused: _refused,
    events.LetterRefused: _refused,
}
