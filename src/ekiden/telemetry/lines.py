"""An event as one line of JSON: the time in front, then the process, then the event (DESIGN §4, rule 9).

Nothing in a line is obeyed by a terminal that shows it (model.printable).

{"time":"2026-11-22T16:17:01.123Z","pid":4711,"event":"letter.accepted","letter":"01h…",…}
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from ekiden.model.events import Event
from ekiden.model.printable import escape_json


class LineEncoder:
    """Not thread-safe. `now`: seconds since 1970. The second's text is made once a second."""

    def __init__(self, now: Callable[[], float], pid: int) -> None:
        self.now = now
        self.pid = pid
        self._encode = msgspec.json.Encoder().encode
        self._second = -1
        self._prefix = ""

    def encode(self, event: Event) -> bytes:
        """With the newline."""
        now = self.now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second))
        head = f'{self._prefix}{int((now - second) * 1000):03d}Z","pid":{self.pid},'
        body = self._encode(event)
        if not body.isascii() or b"\x7f" in body:
            body = escape_json(body.decode()).encode()
        return b"%b%b\n" % (head.encode(), body[1:])
