"""The log: `ports.events.EventSink` that writes one JSON object a line.

Rules
1. `emit` encodes at once and hands the line to a thread, which lets lines gather for `GATHER_SECONDS` and writes them
   in one go: no wait for the disk on the loop, and the thread asks for the interpreter a few times a second, not once
   a line (DESIGN §4, rule 9). A process that is killed takes the last of them with it.
2. Bounded: at most `QUEUE_OCTETS` wait; what comes beyond that is dropped and counted, and so is what a full disk
   refuses. A `log.dropped` line says how many as soon as lines can be written again.
3. It never raises and never stops: a log that fails must not fail the mail.

`app.compose` makes a `JsonLog` a worker; the supervisor, which may have no thread, a `DirectLog`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from ekiden.model.events import Event, LogDropped
from ekiden.telemetry.lines import LineEncoder
from ekiden.telemetry.output import Output

#: What may wait for a slow disk: some 15,000 lines, a few seconds of a busy worker.
QUEUE_OCTETS: Final = 4 * 1024 * 1024
#: How long lines gather before they are written.
GATHER_SECONDS: Final = 0.05
#: After a failure the disk is given this long before the next try; lines go on gathering.
PAUSE_SECONDS: Final = 0.5
#: How long `close` waits for the last lines.
CLOSE_SECONDS: Final = 5.0


class JsonLog:
    """`emit` from any thread. `close` writes what waits."""

    def __init__(self, output: Output, now: Callable[[], float], *, limit: int = QUEUE_OCTETS) -> None:
        self._output = output
        self._encoder = LineEncoder(now, os.getpid())
        self._limit = limit
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._octets = 0
        self._dropped = 0
        self._reason = ""
        self._closing = threading.Event()
        self._reopening = False
        self._path = ""
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost that no `log.dropped` line has told of yet."""
        return self._dropped

    def emit(self, event: Event) -> None:
        with self._lock:
            try:
                line = self._encoder.encode(event)
            except Exception as error:  # an event that cannot be encoded is our mistake: no reason to fail the letter
                line = self._encoder.encode(LogDropped(lines=1, reason=f"{type(event).__name__}: {error!r}"))
            if self._octets + len(line) > self._limit:
                self._dropped += 1
                self._reason = self._reason or "the log is written too slowly"
                return
            self._octets += len(line)
            self._lines.append(line)
            first = len(self._lines) == 1
        if first:
            self._wake.set()

    def reopen(self, path: str = "") -> None:
        """After a rotation (SIGHUP), or under a new name. The thread does it, before the next line."""
        self._path = path
        self._reopening = True
        self._wake.set()

    def close(self) -> None:
        """Writes what waits, within `CLOSE_SECONDS`."""
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._output.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(GATHER_SECONDS)
            self._wake.clear()
            closing = self._closing.is_set()
            if self._reopening:
                self._reopening = False
                self._lose(0, self._output.reopen(self._path))
            failed = self._write_all()
            if closing:
                return
            if failed:
                self._closing.wait(PAUSE_SECONDS)
                self._wake.set()

    def _write_all(self) -> bool:
        """True if something could not be written."""
        with self._lock:
            lines, self._lines, self._octets = self._lines, [], 0
            dropped, reason, self._dropped, self._reason = self._dropped, self._reason, 0, ""
        if dropped or reason:
            told = LineEncoder(self._encoder.now, self._encoder.pid)
            lines.append(told.encode(LogDropped(lines=dropped, reason=reason)))
        if not lines:
            return False
        lost, why = self._output.write(lines)
        if not lost:
            return False
        self._lose(lost - 1 + dropped if dropped or reason else lost, why)
        return True

    def _lose(self, lines: int, reason: str) -> None:
        if not (lines or reason):
            return
        with self._lock:
            self._dropped += lines
            self._reason = reason or self._reason


class DirectLog:
    """Writes each line at once, in the caller's thread: for the supervisor and for commands."""

    def __init__(self, output: Output, now: Callable[[], float]) -> None:
        self._output = output
        self._now = now

    def emit(self, event: Event) -> None:
        self._output.write([LineEncoder(self._now, os.getpid()).encode(event)])

    def reopen(self, path: str = "") -> None:
        self._output.reopen(path)

    def close(self) -> None:
        self._output.close()
