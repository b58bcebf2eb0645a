"""HabitBook: the habits of all accounts (`model.habits`), shared by all workers and kept over restarts.

Contract
1. `change` is one transaction over all accounts that it is given: what another worker changes meanwhile is seen, and
   nothing is lost. A change may be called twice, the first time for nothing.
2. `habits`, `change` and `braked` raise HabitsFailed. What was learned in the last seconds may be lost in a power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from ekiden.model.habits import Habits

#: Changes the habits in place; None: nothing is known of the account yet. What it gives is kept; None: nothing is.
Change = Callable[[Habits | None], Habits | None]


class HabitsFailed(Exception):
    """The store could not do it: temporary."""


class Braked(NamedTuple):
    """`since`: seconds since 1970. `told`: the postmaster was."""

    since: float
    reason: str
    told: bool


class HabitBook(Protocol):
    async def habits(self, account: str) -> Habits | None: ...

    async def change(self, changes: Mapping[str, Change], now: float) -> None:
        """`now`: seconds since 1970; accounts that were not changed for 400 days are forgotten."""

    async def braked(self) -> dict[str, Braked]:
        """Accounts whose brake is on."""
