"""MemoryStsMemory: `ports.sts.StsMemory` for tests."""

from __future__ import annotations

from ekiden.ports.sts import StsEntry


class MemoryStsMemory:
    def __init__(self) -> None:
        self.entries: dict[str, StsEntry] = {}

    async def find(self, domain: str) -> StsEntry | None:
        return self.entries.get(domain)

    async def put(self, domain: str, entry: StsEntry) -> None:
        self.entries[domain] = entry

    async def forget(self, domain: str) -> None:
        self.entries.pop(domain, None)

    def close(self) -> None:
        """Nothing is open."""
