"""OperatorLog: where the events of commands go, so that the log tells who changed what (DESIGN invariant 2).

A command is not the server: it can not write to the server's standard output. With `[log] file` its events are lines
of that file like all others; without, they go to the system's log (facility mail), beside what the service manager
collected from the server.
"""

from __future__ import annotations

import os
import syslog
import time

import msgspec

from ekiden.model.events import Event
from ekiden.ports.clock import Clock


class OperatorLog:
    """`ports.events.EventSink`. `file`: `Config.log.file`. The constructor raises OSError if it can not be opened: what
    can not be told is not done."""

    def __init__(self, file: str, clock: Clock) -> None:
        self._clock = clock
        self._descriptor = -1
        if file and file != "-":
            self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def emit(self, event: Event) -> None:
        now = self._clock.now()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        line = msgspec.json.encode({"time": f"{stamp}.{int(now % 1 * 1000):03d}Z", **msgspec.to_builtins(event)})
        if self._descriptor < 0:
            syslog.openlog("ekiden", 0, syslog.LOG_MAIL)
            syslog.syslog(line.decode())
            return
        try:
            os.write(self._descriptor, line + b"\n")  # one write: lines of several processes never mix
        except OSError:
            syslog.syslog(line.decode())  # the disk is full, say; the change is made, so somebody must hear of it

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
