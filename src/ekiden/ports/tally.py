"""Tally: what guards count and remember, shared by all workers (DESIGN §5 "Counters").

Four kinds of memory, each under a name that the guard chooses ("guesses:192.0.2.0/24"):
    counts       how many within the last so many seconds           `add`, `add_distinct`, `count`, `wait`
    memories     seen before? since when?                           `remember`, `recall`
    presence     how many are there now                             `enter`, `leave`, `inside`
    forgetting   what a person pardons                              `forget`

Rules
1. Every verb answers at once, from what this machine knows: guards stand where no letter may wait. None of them fails:
   an engine in trouble counts as well as it can, and a guard that then lets somebody pass harms less than one that
   stops the mail.
2. All workers see one count. A worker that is killed takes none with it, but for its presence: that is given back.
3. Time passes when the machine is off, too; jumps of the wall clock mean nothing.
4. Memory is bounded. What is over is forgotten by itself; when there is no room, first what would be forgotten first.
5. Names are kept as keyed hashes; an `item` (a guess) under a key that is never written to disk.
6. A count of a kind and a memory must not share a name. One name is always used with the same `window`.

Called by guards in session, accounts and app: `policy` decides about the numbers.
"""

from __future__ import annotations

from typing import Final, Protocol

#: The shortest window of a count, in seconds.
SHORTEST_WINDOW: Final = 10.0
#: How many distinct items of a name are told apart; beyond that each counts, seen or not.
MOST_DISTINCT: Final = 64


class Tally(Protocol):
    def add(self, name: str, window: float, amount: int = 1) -> int:
        """The count of the last `window` seconds, with `amount` (0 or more) added now. What is up to a seventh of the
        window older may still be in it: never more than a limit within any window, if anything a little less."""

    def add_distinct(self, name: str, item: bytes, window: float) -> int:
        """As `add`, if `item` was not seen under this name within `window`; else the count as it is. Being seen again
        makes the item last longer, not the count. Up to `MOST_DISTINCT` items are told apart."""

    def count(self, name: str, window: float) -> int:
        """What `add` would give for an amount of 0."""

    def wait(self, name: str, window: float, most: int) -> float:
        """Seconds until `count` is at most `most` (0 or more), if nothing is added; 0.0: now."""

    def remember(self, name: str, seconds: float) -> float | None:
        """Keeps the name for `seconds` from now (or as long as it is kept already). What `recall` would have given."""

    def recall(self, name: str) -> float | None:
        """Seconds since the name was remembered first; None: it is not."""

    def forget(self, name: str) -> None:
        """The count or memory of that name is as if it had never been. Items of `add_distinct` stay seen."""

    def enter(self, name: str) -> int:
        """One more is there, in this worker. How many in all workers, this one included."""

    def leave(self, name: str) -> None:
        """For each `enter` once."""

    def inside(self, name: str) -> int:
        """How many are there now. May be too high, very seldom, never too low."""
