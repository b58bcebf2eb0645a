"""Balance: workers that accept on the same sockets share the sessions fairly.

Whoever is idle at that moment takes a whole burst of connections, and with kept connections one worker may have nearly
all of them for hours while another sleeps. So a worker that has many more than another one that accepts pauses for a
moment; the connections wait in the kernel, where the others find them.

The rule is loose on purpose: it is about workers that sleep, not about a few sessions more or less.
"""

from __future__ import annotations

from typing import Final, Protocol

#: So many more than half as many again are too many.
#: Sessions that last for milliseconds come and go by the dozen; 8 stopped them a hundred times a second.
ROOM: Final = 12
#: How long a crowded worker accepts nothing, in seconds: time enough for an idle one to wake up.
PAUSE: Final = 0.02
#: Pauses in a row: then it accepts all the same, because the others do not seem to.
MOST_PAUSES: Final = 25


class Balance(Protocol):
    """What the workers of a server know of each other."""

    def tell(self, sessions: int) -> None:
        """How many this worker has; -1: it accepts none."""

    def least(self) -> int:
        """The fewest sessions of another worker that is alive and accepts; -1 if there is none."""


class Alone:
    """For a single worker."""

    def tell(self, sessions: int) -> None:
        """Nobody asks."""

    def least(self) -> int:
        return -1


def is_crowded(mine: int, least: int) -> bool:
    return least >= 0 and mine > least + least // 2 + ROOM
