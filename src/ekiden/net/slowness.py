"""Slowness: who holds a place and sends next to nothing. When places run short, those go first.

Rules
1. Slow is who has sent less than `RATE` octets a second over the last `WINDOW` seconds, and since. Counted is what
   comes in, decrypted; a counter a read, and one comparison a second and connection.
2. Nobody is cut while less than `CROWDED` of the places are taken; then the oldest first, and only as many as are
   over.

Without this a few hundred clients that say a word every minute hold all places of a worker: no timeout ends them.
Used by `net.door_wire` and `net.listener`.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 300.0
RATE: Final = 10
#: Parts of ten.
CROWDED: Final = 8


class Slowness:
    """One a connection. `since`: when it was seen first."""

    __slots__ = ("_octets", "_until", "_was_slow", "since")

    def __init__(self) -> None:
        self.since = 0.0
        self._octets = 0
        self._until = 0.0
        self._was_slow = False

    def came(self, octets: int) -> None:
        self._octets += octets

    def tick(self, now: float) -> None:
        if now < self._until:
            return
        if not self._until:
            self.since = now
        else:
            self._was_slow = self._octets < RATE * WINDOW
            self._octets = 0
        self._until = now + WINDOW

    def is_slow(self, now: float) -> bool:
        """Only after a whole window; who has begun to send is slow no more."""
        return self._was_slow and self._octets <= RATE * (now - self._until + WINDOW)


def surplus(connections: int, places: int) -> int:
    """How many connections are over what may be taken without a look at who is slow."""
    return max(0, connections - places * CROWDED // 10)
