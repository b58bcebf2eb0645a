"""Slots: connections and rates of sites, exact over all processes that deliver (DESIGN §4).

A *slot* is the right to have one connection to a site. Whoever holds it may connect; who dies, however, holds nothing
any more. A *rate* is a number of things (connections, letters) a minute, taken as tokens in small batches.

Rules
1. Never more than `limit` slots of a site are held at once, over all workers (and over all machines, with an engine
   that reaches them). With a limit that was lowered none is given until those above it are back.
2. Never more than `per_minute` tokens of a rate are used within any 60 seconds, over all workers: whoever gets tokens
   uses them within `TOKEN_SECONDS` or forgets them. A process that is killed takes its tokens with it; none is ever
   given twice.
3. Nobody is kept waiting here: the answer says no, and when to ask again. Who gives a slot back rings (`ports.wakeup`).
4. Names of sites and rates are the caller's and mean the same in all workers. Two names are two budgets.

Called by delivery, once a connection or once a batch of letters, never once a letter.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

#: How long tokens may be kept before they are used, in seconds of `Clock.monotonic`.
TOKEN_SECONDS: Final = 1.0
#: The largest `limit` that every engine can keep.
MOST_SLOTS: Final = 10_000


class Slot(NamedTuple):
    """`number`: from 0, below the limit it was taken under. `ticket`: tells one taking of a number from the next."""

    site: str
    number: int
    ticket: int


class Grant(NamedTuple):
    """`granted`: tokens to use now; 0: none, and worth asking again after `wait` seconds (a guess, never a promise)."""

    granted: int
    wait: float


class Slots(Protocol):
    async def take(self, site: str, limit: int) -> Slot | None:
        """A slot of the site; None: all `limit` (1 to `MOST_SLOTS`) are in use. `limit` is what the configuration says
        of the site, not how many the caller could use just now. Raises SlotsFailed."""

    def give(self, slot: Slot) -> None:
        """The connection is closed for good (and the peer was told). Giving a slot again changes nothing, also when its
        number was taken anew."""

    async def spend(self, rate: str, per_minute: int, wanted: int) -> Grant:
        """Up to `wanted` tokens (1 or more) of a rate of `per_minute` (1 or more): about a second's worth at most, and
        one at least if any. The tokens are spent, used or not. Raises SlotsFailed."""


class SlotsFailed(Exception):
    """The engine cannot say (disk, database). No slot and no token was given; ask again later."""
