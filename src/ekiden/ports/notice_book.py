"""NoticeBook: what people were told lately, so that nobody is told the same thing again and again.

Contract
1. `take` is true for one caller only, over all workers and restarts, until the period is over. A clock that was set
   back never silences for longer than a period.
2. An engine that fails says True: told twice is better than never.
"""

from __future__ import annotations

from typing import Protocol


class NoticeBook(Protocol):
    async def take(self, kind: str, about: str, now: float, period: float) -> bool:
        """Whether nobody told it within the last `period` seconds; then it counts as told at `now`."""

    async def give_back(self, kind: str, about: str) -> None:
        """It could not be told after all."""
