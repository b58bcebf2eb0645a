"""MemoryKnownRecipients: for tests, tools and plays."""

from __future__ import annotations

from collections.abc import Iterable

from ekiden.ports.known_recipients import MOST_KNOWN


class MemoryKnownRecipients:
    """`cached`: whether `peek` answers; else everything must be asked for."""

    def __init__(self, *, cached: bool = True) -> None:
        self._known: dict[str, set[str]] = {}
        self._cached = cached

    def peek(self, account: str, recipient: str) -> bool | None:
        return recipient in self._known.get(account, ()) if self._cached else None

    async def knows(self, account: str, recipient: str) -> bool:
        return recipient in self._known.get(account, ())

    def learned(self, account: str, recipients: Iterable[str]) -> None:
        known = self._known.setdefault(account, set())
        for recipient in recipients:
            if len(known) < MOST_KNOWN:
                known.add(recipient)

    async def add(self, account: str, recipients: Iterable[str]) -> int:
        before = await self.count(account)
        self.learned(account, recipients)
        return await self.count(account) - before

    async def count(self, account: str) -> int:
        return len(self._known.get(account, ()))

    async def forget(self, account: str) -> None:
        self._known.pop(account, None)

    def close(self) -> None:
        """Nothing is kept."""
