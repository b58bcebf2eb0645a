"""KnockBook: who is at the wrong door, or not let in, counted by client network, and told without filling the log.

Rules
1. Counted an hour each by (network, door, what); networks are /24 and /48 (`policy.networks`).
2. Told: the first `FIRST` of a count, then the tenth, the hundredth ...: who knocks all day makes a few lines.
3. All counts together tell at most `MOST_A_MINUTE`; what is kept back stands in `withheld` of the next that is told.
4. At most `MOST_COUNTS` are kept; the one that was quiet for longest goes first. 10,000 take about 3 MB.

One a worker, for life, made by the composition root; `session.gate` writes into it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ekiden.model.door import Door
from ekiden.model.events import DoorRefused, DoorWrong
from ekiden.model.wrong_door import WrongDoor, advise
from ekiden.policy.networks import client_network
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink

FIRST: Final = 3
MOST_A_MINUTE: Final = 30
MOST_COUNTS: Final = 10_000
HOUR: Final = 3600.0
_MINUTE: Final = 60.0


class _Count:
    __slots__ = ("began", "number")

    def __init__(self, began: float) -> None:
        self.began = began
        self.number = 0


class KnockBook:
    def __init__(self, clock: Clock, events: EventSink) -> None:
        self._clock = clock
        self._events = events
        self._counts: OrderedDict[tuple[str, Door, str], _Count] = OrderedDict()
        self._minute = 0.0
        self._told = 0
        self._withheld = 0

    def wrong(self, door: Door, client: str, what: WrongDoor) -> None:
        network = client_network(client)
        number = self._count((network, door, what.value))
        if self._is_told(number):
            advice = advise(door, what)
            self._events.emit(
                DoorWrong(
                    door=door.value,
                    client=client,
                    what=what.value,
                    advice=advice,
                    network=network,
                    count=number,
                    withheld=self._take_withheld(),
                )
            )

    def refused(self, door: Door, client: str, rule: str, detail: str = "") -> None:
        network = client_network(client)
        number = self._count((network, door, rule))
        if self._is_told(number):
            self._events.emit(
                DoorRefused(
                    door=door.value,
                    client=client,
                    rule=rule,
                    detail=detail,
                    network=network,
                    count=number,
                    withheld=self._take_withheld(),
                )
            )

    def _count(self, key: tuple[str, Door, str]) -> int:
        now = self._clock.monotonic()
        count = self._counts.get(key)
        if count is None or now - count.began >= HOUR:
            count = self._counts[key] = _Count(now)
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_COUNTS:
            self._counts.popitem(last=False)
        count.number += 1
        return count.number

    def _is_told(self, number: int) -> bool:
        now = self._clock.monotonic()
        if now - self._minute >= _MINUTE:
            self._minute = now
            self._told = 0
        if self._told < MOST_A_MINUTE and (number <= FIRST or _is_power_of_ten(number)):
            self._told += 1
            return True
        self._withheld += 1
        return False

    def _take_withheld(self) -> int:
        withheld, self._withheld = self._withheld, 0
        return withheld


def _is_power_of_ten(number: int) -> bool:
    return str(number).strip("0") == "1"
