"""KnockBook: who is at the wrong door, or not let in, counted by client network, and told without filling the log.

Rules
1. Counted an hour each by (network, door, what); networks are /24 and /48 (`policy.networks`).
2. Told: the first `FIRST` of a count, then the tenth, the hundredth ...: who knocks all day makes a few lines.
3. All counts together tell at most `MOST_A_MINUTE`; what is kept back stands in `withheld` of the next that is told.
   What scanners do (HTTP, SSH, forged headers) and refusals have an allowance of their own, so that a scan does not
   hide the person whose mail program is set wrong.
4. At most `MOST_COUNTS` are kept; the one that was quiet for longest goes first. 10,000 take about 4 MB.

One a worker, for life, made by the composition root; `session.gate` writes into it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ekiden.model.door import Door
from ekiden.model.events import DoorRefused, DoorWrong
from ekiden.model.measures import REFUSED
from ekiden.model.wrong_door import WrongDoor, advise
from ekiden.policy.networks import client_network
from ekiden.ports.clock import Clock
from ekiden.ports.counts import Counts
from ekiden.ports.events import EventSink

FIRST: Final = 3
MOST_A_MINUTE: Final = 60
MOST_COUNTS: Final = 10_000
HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_OF_SCANNERS: Final = frozenset((WrongDoor.HTTP, WrongDoor.SSH, WrongDoor.PROXY))


class _Count:
    __slots__ = ("began", "number", "told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.number = 0
        self.told = 0


class _Allowance:
    """Of one minute."""

    __slots__ = ("began", "told")

    def __init__(self) -> None:
        self.began = 0.0
        self.told = 0

    def take(self, now: float) -> bool:
        if now - self.began >= _MINUTE:
            self.began = now
            self.told = 0
        self.told += 1
        return self.told <= MOST_A_MINUTE


class KnockBook:
    def __init__(self, clock: Clock, events: EventSink, counts: Counts | None = None) -> None:
        self._clock = clock
        self._events = events
        self._all = counts
        self._counts: OrderedDict[tuple[str, Door, str], _Count] = OrderedDict()
        self._of_people = _Allowance()
        self._of_others = _Allowance()
        self._withheld = 0

    def wrong(self, door: Door, client: str, what: WrongDoor) -> None:
        network = client_network(client)
        count = self._count((network, door, what.value))
        if self._is_told(count, self._of_others if what in _OF_SCANNERS else self._of_people):
            self._events.emit(
                DoorWrong(
                    door=door.value,
                    client=client,
                    what=what.value,
                    advice=advise(door, what),
                    network=network,
                    count=count.number,
                    withheld=self._take_withheld(),
                )
            )

    def refused(self, door: Door, client: str, rule: str, detail: str = "") -> None:
        if self._all is not None:
            self._all.add(REFUSED, rule)
        network = client_network(client)
        count = self._count((network, door, rule))
        if self._is_told(count, self._of_others):
            self._events.emit(
                DoorRefused(
                    door=door.value,
                    client=client,
                    rule=rule,
                    detail=detail,
                    network=network,
                    count=count.number,
                    withheld=self._take_withheld(),
                )
            )

    def _count(self, key: tuple[str, Door, str]) -> _Count:
        now = self._clock.monotonic()
        count = self._counts.get(key)
        if count is None or now - count.began >= HOUR:
            count = self._counts[key] = _Count(now)
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_COUNTS:
            self._counts.popitem(last=False)
        count.number += 1
        return count

    def _is_told(self, count: _Count, allowance: _Allowance) -> bool:
        wanted = count.told < FIRST or _is_power_of_ten(count.number)
        if wanted and allowance.take(self._clock.monotonic()):
            count.told += 1
            return True
        self._withheld += 1
        return False

    def _take_withheld(self) -> int:
        withheld, self._withheld = self._withheld, 0
        return withheld


def _is_power_of_ten(number: int) -> bool:
    return str(number).strip("0") == "1"
