"""What all directory engines do alike with app passwords: their order, and which uses are worth a write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ekiden.model.account import AppPassword

#: A program that polls every minute from one place costs one write an hour.
SAME_CLIENT_SECONDS: Final = 3600.0
#: One that comes from everywhere costs one a minute.
ANY_CLIENT_SECONDS: Final = 60.0


def in_order(app_passwords: Iterable[AppPassword]) -> tuple[AppPassword, ...]:
    """Oldest first."""
    return tuple(sorted(app_passwords, key=lambda there: (there.created, there.id)))


def worth_noting(last_used: float, last_client: str, when: float, client: str) -> bool:
    """A clock that was set back must not silence the notes: a use `before` the last one is noted."""
    age = when - last_used
    return age < 0 or age >= (SAME_CLIENT_SECONDS if client == last_client else ANY_CLIENT_SECONDS)
