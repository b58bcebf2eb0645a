"""MemoryBans: `ports.bans.Bans` for tests, and for looking where nobody was ever banned."""

from __future__ import annotations

from collections.abc import Sequence

from ekiden.ports.bans import Ban


class MemoryBans:
    def __init__(self) -> None:
        self._bans: dict[str, Ban] = {}
        self._news: list[Ban] = []

    async def put(self, ban: Ban) -> None:
        self._bans[ban.network] = ban
        self._news.append(ban)

    async def find(self, network: str) -> Ban | None:
        return self._bans.get(network)

    async def all(self) -> Sequence[Ban]:
        return [self._bans[network] for network in sorted(self._bans)]

    def news(self) -> Sequence[Ban]:
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Nothing is open."""
