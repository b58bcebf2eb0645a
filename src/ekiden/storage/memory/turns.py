"""Whose turn it is when more is due than is claimed, said as plainly as it can be: for the spool in memory.

The same rules as those of `storage.sqlite.turns`, without its indexes: half of a claim goes round the next hops, half
round the flows, and a part is left to lower priorities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from ekiden.model.envelope import Leg

#: One in so many legs of a claim is left to lower priorities.
LOWER_PART: Final = 8


class Turns:
    """`_at`: of next hops and flows, the last name that had its turn."""

    def __init__(self) -> None:
        self._at = {"next_hop": "", "flow": ""}
        self._odd = False

    def choose(self, due: Sequence[Leg], limit: int) -> list[Leg]:
        """`limit` legs of those that are due, at most."""
        ordered = sorted(due, key=_order)
        if len(ordered) <= limit:
            return ordered
        self._odd = not self._odd
        found: list[Leg] = []
        for priority in sorted({leg.priority for leg in ordered}, reverse=True):
            level = [leg for leg in ordered if leg.priority == priority]
            left = limit - len(found)
            below = sum(leg.priority < priority for leg in ordered)
            found += self._of_level(level, left - min(below, left // LOWER_PART))
        return sorted(found, key=_order)

    def _of_level(self, legs: list[Leg], limit: int) -> list[Leg]:
        hops = self._in_turn(legs, (limit + self._odd) // 2, "next_hop")
        taken = {(leg.letter, leg.number) for leg in hops}
        others = [leg for leg in legs if (leg.letter, leg.number) not in taken]
        return hops + self._in_turn(others, limit - len(hops), "flow")

    def _in_turn(self, legs: Sequence[Leg], limit: int, by: str) -> list[Leg]:
        """Everybody's oldest, then everybody's second, and so on. `legs`: the oldest first."""
        at, counted = self._at[by], Counter[str]()
        ranked: list[tuple[tuple[int, bool, str], Leg]] = []
        for leg in legs:
            name = getattr(leg, by)
            ranked.append(((counted[name], name <= at, name), leg))
            counted[name] += 1
        ranked.sort(key=lambda pair: pair[0])
        for (_, _, name), _ in ranked[:limit]:
            self._at[by] = name
        return [leg for _, leg in ranked[:limit]]


def _order(leg: Leg) -> tuple[int, float, int, int]:
    return -leg.priority, leg.next_attempt or 0.0, leg.letter, leg.number
