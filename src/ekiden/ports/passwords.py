"""PasswordHasher: Argon2id off the event loop, bounded in number."""

from __future__ import annotations

from typing import Protocol


class HasherBusy(Exception):
    """Too many checks are waiting: 454 4.7.0, try again later (RFC 4954 §6)."""


class PasswordHasher(Protocol):
    async def hash(self, password: str) -> str:
        """A PHC string with Argon2id parameters and a fresh salt. Raises HasherBusy."""

    async def verify(self, encoded: str, password: str, *, known: bool = True) -> bool:
        """True if it matches. An encoded hash that is no hash is False. `known`: the client has a place before those
        that are not. Raises HasherBusy."""

    async def verify_nobody(self, password: str, *, known: bool = True) -> bool:
        """Costs what `verify` costs, against a hash nobody has; always False (same answer, same time). Raises
        HasherBusy."""
