"""What keeps a site from taking letters, and for how long.

NONE        it takes what comes
RESTING     it failed as a whole: left alone until a time (`policy.rest`)
PROBED      the rest is over: one letter tries, on one connection
SLOTS       all connections it may have are elsewhere (other workers)
SUSPENDED   a person said so
BLOCKED     this network blocks port 25 (`road_watch`)

A site that was barred by something else rests or is probed afterwards if it had failed before. Times: monotonic
seconds. Changed by `site` only.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from ekiden.policy.rest import LONGEST, Rest

#: Letters that come while one is probing are put off for so long.
PROBE_SECONDS: Final = 5.0


class Bar(Enum):
    NONE = ""
    RESTING = "resting"
    PROBED = "probed"
    SLOTS = "slots"
    SUSPENDED = "suspended"
    BLOCKED = "blocked"


#: Bars from outside: what the site itself does changes nothing.
_FROM_OUTSIDE: Final = (Bar.SUSPENDED, Bar.BLOCKED)
#: RFC 3463 §3.5: no answer from host.
_UNREACHED: Final = "4.4.1"


class NotNow(NamedTuple):
    """Why letters are not tried now: an enhanced status code, and words that a sender may read, too."""

    status: str
    text: str


#: RFC 3463 §3.4: system not accepting network messages (shutdown, maintenance). §3.5: mail system congestion.
CLOSED: Final = "4.3.2"
CONGESTED: Final = "4.4.5"


class Barrier:
    """`reason`: for people."""

    __slots__ = ("_rest", "bar", "reason")

    def __init__(self) -> None:
        self._rest = Rest()
        self.bar = Bar.NONE
        self.reason = ""

    @property
    def failures(self) -> int:
        return self._rest.failures

    @property
    def last_failure(self) -> str:
        return self._rest.reason

    @property
    def not_now(self) -> NotNow:
        """Of a bar: what is told of letters that wait for it. A rest is told with the status of what it came from."""
        match self.bar:
            case Bar.SLOTS:
                status = CONGESTED
            case Bar.SUSPENDED:
                status = CLOSED
            case Bar.BLOCKED:
                status = _UNREACHED
            case _:
                status = self._rest.reason.partition(" ")[2].partition(" ")[0]
        return NotNow(status, self.reason)

    def seconds_left(self, now: float) -> float:
        """How long a letter that is put back should wait at least."""
        if self.bar is Bar.RESTING:
            return max(self._rest.until - now, 0.0)
        return PROBE_SECONDS if self.bar is Bar.PROBED else 0.0

    def is_forgotten(self, now: float) -> bool:
        """Nothing is remembered that matters. A failure matters as long as the longest rest."""
        return self.bar is Bar.NONE or (self.bar is Bar.PROBED and now >= self._rest.until + LONGEST)

    def rest_is_over(self, now: float) -> bool:
        return self.bar is Bar.RESTING and not self._rest.lasts(now)

    def fail(self, reason: str, now: float, jitter: float) -> None:
        seconds = self._rest.fail(reason, now, jitter)
        if self.bar not in _FROM_OUTSIDE:
            self.bar = Bar.RESTING
            self.reason = f"the site rests for {seconds:.0f} s; the last failure: {reason}"

    def probe(self, now: float) -> None:
        self._rest.until = min(self._rest.until, now)
        self._set_after()

    def works(self) -> bool:
        """A session came about. True if that changes something."""
        rested = self._rest.end()
        if self.bar is Bar.NONE or self.bar in _FROM_OUTSIDE:
            return rested
        self.bar, self.reason = Bar.NONE, ""
        return True

    def lacks_slot(self) -> None:
        if self.bar not in _FROM_OUTSIDE:
            self.bar = Bar.SLOTS
            self.reason = "all connections that the site may have are in use by other workers"

    def found_slot(self) -> None:
        self._set_after()

    def suspend(self, reason: str, bar: Bar = Bar.SUSPENDED) -> None:
        """`bar`: SUSPENDED or BLOCKED."""
        self.bar = bar
        self.reason = reason

    def resume(self, now: float) -> None:
        self.probe(now)

    def _set_after(self) -> None:
        if self._rest.failures:
            self.bar, self.reason = Bar.PROBED, f"another letter tries the site; the last failure: {self._rest.reason}"
        else:
            self.bar, self.reason = Bar.NONE, ""
