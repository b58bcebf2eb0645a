"""MemoryHabitBook: the HabitBook of tests. `fail`: the next call raises."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from ekiden.model.habits import Habits
from ekiden.ports.habit_book import Braked, Change, HabitsFailed


class MemoryHabitBook:
    def __init__(self) -> None:
        self._rows: dict[str, Habits] = {}
        self.fail = False

    async def habits(self, account: str) -> Habits | None:
        self._guard()
        return copy.deepcopy(self._rows.get(account))

    async def change(self, changes: Mapping[str, Change], now: float) -> None:
        self._guard()
        made = {account: change(copy.deepcopy(self._rows.get(account))) for account, change in changes.items()}
        self._rows.update({account: habits for account, habits in made.items() if habits is not None})

    async def braked(self) -> dict[str, Braked]:
        self._guard()
        return {name: Braked(row.braked, row.reason, row.told) for name, row in self._rows.items() if row.braked}

    def _guard(self) -> None:
        if self.fail:
            self.fail = False
            raise HabitsFailed("asked to fail")
