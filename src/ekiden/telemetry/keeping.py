"""The way of events into their store: `ports.events.EventSink` that hands them to a thread of its own.

Rules
1. `emit` notes the event and its time, no more: encoding, thinning (`telemetry.thinning`) and writing are the thread's,
   which lets events gather for `GATHER_SECONDS`. A process that is killed takes the last of them with it.
2. Bounded: at most `QUEUE_EVENTS` wait; what comes beyond that is counted.
3. A store that fails is tried again after a pause, with what could not be written; the log is told when that begins,
   and the log and the store when it is over, if something was lost.
4. It never raises and never blocks the caller: a store that fails must not fail the mail.

`app.worker` makes one a worker, beside the log (`Both`); the supervisor and commands have `app.direct_events`.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ekiden.model.events import Event, EventRepeated, EventsDropped
from ekiden.ports.event_store import EventEntry, EventKeeper
from ekiden.ports.events import EventSink
from ekiden.telemetry.lines import LineEncoder
from ekiden.telemetry.thinning import Thinning

#: What may wait for a store that is slow: a flood of 20,000 a second has one second.
QUEUE_EVENTS: Final = 20_000
GATHER_SECONDS: Final = 0.25
#: Events of one write.
LOAD: Final = 1000
#: After a failure the store is given this long.
PAUSE_SECONDS: Final = 5.0
#: How often windows are ended and old days looked for.
TIDY_SECONDS: Final = 5.0
#: How long `close` waits for the last events.
CLOSE_SECONDS: Final = 5.0


class AdjustableKeeper(EventKeeper, Protocol):
    days: int
    octets: int


class Both:
    """`ports.events.EventSink`: everything to the log, and what is kept to the store."""

    def __init__(self, log: EventSink, store: EventSink) -> None:
        self._log = log
        self._store = store

    def emit(self, event: Event) -> None:
        self._log.emit(event)
        if event.is_kept:
            self._store.emit(event)


class EntryMaker:
    """Events as entries; not thread-safe."""

    def __init__(self) -> None:
        self._now = 0.0
        self._encoder = LineEncoder(lambda: self._now, os.getpid())

    def entry(self, time: float, event: Event) -> EventEntry:
        """Raises what the encoder raises."""
        self._now = time
        name = event.name if isinstance(event, EventRepeated) else str(event.__struct_config__.tag)
        return EventEntry(
            time,
            name,
            event.level,
            _text(event, "account"),
            _text(event, "client"),
            _text(event, "door"),
            _text(event, "letter"),
            self._encoder.encode(event)[:-1],
        )


class StoredEvents:
    """`emit` from any thread. `complain`: to the log; it must bear being called from the thread."""

    def __init__(
        self,
        keeper: AdjustableKeeper,
        now: Callable[[], float],
        complain: Callable[[Event], None],
        *,
        most: int = QUEUE_EVENTS,
    ) -> None:
        self._keeper = keeper
        self._now = now
        self._complain = complain
        self._most = most
        self._waiting: deque[tuple[float, Event]] = deque()
        self._dropped = 0
        self._failing = ""
        self._rest: list[EventEntry] = []
        self._thinning = Thinning()
        self._maker = EntryMaker()
        self._tidied = 0.0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def emit(self, event: Event) -> None:
        if len(self._waiting) >= self._most:
            self._dropped += 1
            return
        self._waiting.append((self._now(), event))
        if not self._wake.is_set():
            self._wake.set()

    def keep(self, days: int, octets: int) -> None:
        """After a reload."""
        self._keeper.days, self._keeper.octets = days, octets

    def close(self) -> None:
        """Writes what waits, within `CLOSE_SECONDS`."""
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(TIDY_SECONDS)
            self._closing.wait(GATHER_SECONDS)
            self._wake.clear()
            if not self._work(self._now(), closing=self._closing.is_set()):
                self._closing.wait(PAUSE_SECONDS)
                self._wake.set()
        self._work(self._now(), closing=True)
        try:
            self._keeper.close()
        except Exception as error:  # nobody is left to try again
            self._complain(EventsDropped(count=0, reason=repr(error)))

    def _work(self, now: float, *, closing: bool = False) -> bool:
        """False if the store failed; what was not written is kept for the next time."""
        due = closing or not 0 <= now - self._tidied < TIDY_SECONDS
        try:
            self._take(now, due=due, closing=closing)
            while self._rest:
                self._keeper.write(self._rest[:LOAD])
                del self._rest[:LOAD]
            if due and not closing:
                self._keeper.tidy(now)
                self._tidied = now
        except Exception as error:
            if not self._failing:
                self._failing = f"{type(error).__name__}: {error}"
                self._complain(EventsDropped(count=0, reason=self._failing))
            return False
        self._failing = ""
        return True

    def _take(self, now: float, *, due: bool, closing: bool) -> None:
        """From events to entries; none while the last ones could not be written (rule 2 then holds for both)."""
        if self._rest:
            return
        if due and not closing:
            self._rest += self._entries([(now, event) for event in self._thinning.over(now)])
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._rest += self._entries([one for one in taken if self._thinning.passes(one[1], one[0])])
        if closing:
            self._rest += self._entries([(now, event) for event in self._thinning.over(now, all_of_them=True)])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            event = EventsDropped(count=dropped, reason=self._failing or "more came than could be written")
            self._complain(event)
            self._rest += self._entries([(now, event)])

    def _entries(self, events: Sequence[tuple[float, Event]]) -> list[EventEntry]:
        entries = []
        for time, event in events:
            try:
                entries.append(self._maker.entry(time, event))
            except Exception as error:  # our mistake, and no reason to lose the others
                self._complain(EventsDropped(count=1, reason=f"{type(event).__name__}: {error!r}"))
        return entries


def _text(event: Event, field: str) -> str:
    return str(getattr(event, field, ""))
