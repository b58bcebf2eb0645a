"""Connections that one worker may have open at once, over all sites.

Rules
1. A worker that delivers to ten thousand domains must not run out of file descriptors, which its doors need too. Sites
   that find no room stand in a queue; while somebody stands there for want of room, nobody keeps an idle connection.
2. Places in which nothing may ever happen are few: sites that have taken mail lately (`PROVEN`) may have all the room
   there is, sites of which nothing is known (`FRESH`) a part of it while they are being opened, and sites whose last
   attempt failed (`FAILED`) a small part. So hosts that never answer cannot keep out those that do.
3. While somebody waits for such a place, whoever has been opening for `PATIENCE` seconds gives his up: a host that
   needs longer is tried again when fewer wait. With nobody waiting the connect timeout alone counts.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

#: Where nobody counted the descriptors (`policy.descriptors`): below the 1,024 that a process gets on most systems.
CONNECTIONS: Final = 600
#: Seconds that an opening may take while others wait for its place. A connection to the other end of the world with
#: greeting, EHLO and TLS takes one and a half.
PATIENCE: Final = 3.0


class Standing(Enum):
    """What is known of a site. The value: its part of all connections while they are being opened."""

    PROVEN = 1.0
    FRESH = 0.6
    FAILED = 0.1


class Place:
    """`cut`: ends an opening that takes too long; called at most once."""

    __slots__ = ("cut", "is_opening", "since", "standing")

    def __init__(self, standing: Standing, since: float, cut: Callable[[], None]) -> None:
        self.standing = standing
        self.since = since
        self.cut = cut
        self.is_opening = True


class Budget:
    """`reclaim`: asks everybody to close what is idle; called when the room is used up, not for every connection."""

    def __init__(self, limit: int = CONNECTIONS, reclaim: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._reclaim = reclaim
        self._used = 0
        self._given = 0
        self._opening: dict[Standing, dict[Place, None]] = {standing: {} for standing in Standing}
        self._waiting: dict[Standing, dict[Callable[[], None], None]] = {standing: {} for standing in Standing}

    @property
    def is_contended(self) -> bool:
        """Somebody waits for room."""
        return self._used >= self._limit and any(self._waiting.values())

    def take(
        self, standing: Standing, now: float, wake: Callable[[], None], cut: Callable[[], None] = lambda: None
    ) -> Place | None:
        """A place for one more; `opened` when the connection stands, `give` it back in any case. None: `wake` is
        called once when there is room."""
        if self._used >= self._limit:
            self._waiting[standing][wake] = None
            if self._given >= self._limit // 20:
                self._given = 0
                self._reclaim()
            return None
        if not self._has_room(standing):
            self._waiting[standing][wake] = None
            return None
        self._used += 1
        place = Place(standing, now, cut)
        self._opening[standing][place] = None
        return place

    def opened(self, place: Place) -> None:
        """Its site takes mail: a fresh or failed one needs the place no longer."""
        if place.is_opening:
            place.is_opening = False
            del self._opening[place.standing][place]
            self._wake(place.standing)

    def give(self, place: Place) -> None:
        if place.is_opening:
            place.is_opening = False
            del self._opening[place.standing][place]
        self._used -= 1
        self._given += 1
        for standing in Standing:
            self._wake(standing)

    def tick(self, now: float) -> None:
        """Once a second (rule 3)."""
        self._given = self._limit
        for standing, waiting in self._waiting.items():
            if not waiting:
                continue
            stalled = [place for place in self._opening[standing] if now - place.since >= PATIENCE]
            for place in stalled[: len(waiting)]:
                place.cut()

    def _has_room(self, standing: Standing) -> bool:
        return len(self._opening[standing]) < max(1, int(self._limit * standing.value))

    def _wake(self, standing: Standing) -> None:
        waiting = self._waiting[standing]
        while waiting and self._used < self._limit and self._has_room(standing):
            wake = next(iter(waiting))
            del waiting[wake]
            wake()  # who needs none any more takes none: the next one is asked
