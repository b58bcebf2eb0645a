"""What is counted, by what, and which of it is watched for anomalies: the one list of measures.

Rules
1. A measure has keys of one kind (a door, an account, a rule, a next hop). Who counts bounds how many there are:
   what does not fit is counted under `OTHER`, so that totals are always right.
2. Names are stable: they stand in the store, in `anomaly.found` and in `ekiden watch --json`.

Counted by `telemetry.counting`, judged by `policy.anomaly`, shown by `admin.watching`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: The key of what has no room of its own.
OTHER: Final = "other"


class Measure(NamedTuple):
    """`by`: what its keys are, '' for none. `title`: for people. `floor`: an hour with less is never an anomaly; 0: it
    is not watched. `falls`: whether far too little is one, too."""

    name: str
    by: str
    title: str
    floor: int = 0
    falls: bool = False


SESSIONS: Final = Measure("sessions", "door", "sessions that ended")
LETTERS_IN: Final = Measure("letters.in", "door", "letters taken", floor=100, falls=True)
LETTERS_OF: Final = Measure("letters.of", "account", "letters handed in")
LETTERS_OUT: Final = Measure("letters.out", "site", "letters brought on their way", floor=100)
BOUNCED: Final = Measure("bounced", "site", "recipients that failed for good", floor=20)
DELAYED: Final = Measure("delayed", "site", "recipients put off by other servers")
REFUSED: Final = Measure("refused", "rule", "refusals", floor=100)
GUARDS: Final = Measure("guards", "rule", "acts of guards")
LOGINS: Final = Measure("logins", "door", "logins")
LOGINS_FAILED: Final = Measure("logins.failed", "account", "logins refused", floor=50)
#: Legs that wait: the most of the hour.
QUEUE: Final = Measure("queue", "", "letters waiting", floor=50)
#: Minutes in which the counts were written: what says that a count of 0 is one.
UP: Final = Measure("up", "", "minutes up")

MEASURES: Final = (
    SESSIONS,
    LETTERS_IN,
    LETTERS_OF,
    LETTERS_OUT,
    BOUNCED,
    DELAYED,
    REFUSED,
    GUARDS,
    LOGINS,
    LOGINS_FAILED,
    QUEUE,
    UP,
)
WATCHED: Final = tuple(measure for measure in MEASURES if measure.floor)
