"""BreachedPasswords: a postmaster's own list of passwords that are known from breaches."""

from __future__ import annotations

from typing import Protocol


class BreachedFailed(Exception):
    """The list cannot be read, or is not what it should be; `str()` is one sentence that says what would be right."""


class BreachedPasswords(Protocol):
    async def holds(self, password: str) -> bool:
        """As it was typed (prepared). May take a second for a long list. Raises BreachedFailed."""
