"""Guessers: from which networks wrong logins come, most of all; for people to look at.

Two generations of `HALF_SECONDS` each: what is told is from the last half to one hour. Bounded: of more than `MOST`
networks in one generation those go first that were seen least.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest
from typing import Final

HALF_SECONDS: Final = 1800.0
MOST: Final = 1000
SHOWN: Final = 20


class Guessers:
    """On one thread. `network`: of an address, '' if it has none. `now`: monotonic seconds."""

    def __init__(self, network: Callable[[str], str]) -> None:
        self._network = network
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._turned: float | None = None

    def failed(self, client: str) -> None:
        """A wrong login from that address."""
        network = self._network(client) or client
        young = self._young
        if network not in young and len(young) >= MOST:
            least = min(young.values())
            self._young = young = {name: count for name, count in young.items() if count > least}
        young[network] = young.get(network, 0) + 1

    def tick(self, now: float) -> None:
        if self._turned is None:
            self._turned = now
        elif now - self._turned >= HALF_SECONDS:
            self._old, self._young, self._turned = self._young, {}, now

    def most(self) -> list[tuple[str, int]]:
        """The most wrong logins first."""
        both = dict(self._old)
        for network, count in self._young.items():
            both[network] = both.get(network, 0) + count
        return nlargest(SHOWN, both.items(), key=lambda item: item[1])
