"""OperatorLog: where the events of commands go, so that the log tells who changed what (invariant 2).

A command is not the server: it can not write to the server's standard output. With `[log] file` its events are lines
of that file like all others; without, they go to the system's log (facility mail), beside what the service manager
collected from the server.
"""

from __future__ import annotations

import os
import syslog

from ekiden.model.events import Event
from ekiden.ports.clock import Clock
from ekiden.telemetry.lines import LineEncoder
from ekiden.telemetry.output import STANDARD_OUTPUT, Output


class OperatorLog:
    """`ports.events.EventSink`. `file`: `Config.log.file`; '' is the system's log, too. The constructor raises OSError
    if the file can not be opened: what can not be told is not done."""

    def __init__(self, file: str, clock: Clock) -> None:
        self._encoder = LineEncoder(clock.now, os.getpid())
        self._output = Output(file) if file and file != STANDARD_OUTPUT else None

    def emit(self, event: Event) -> None:
        line = self._encoder.encode(event)
        lost = self._output.write([line])[0] if self._output else 1
        if lost:  # a full disk, say: the change is made, so somebody must hear of it
            syslog.openlog("ekiden", 0, syslog.LOG_MAIL)
            syslog.syslog(line.decode().rstrip())

    def close(self) -> None:
        if self._output:
            self._output.close()
