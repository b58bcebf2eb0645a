"""MemoryKnownPairs: the KnownPairs of tests, and of commands that check no logins. Knows for ever."""

from __future__ import annotations


class MemoryKnownPairs:
    """`pairs`: what is known, for tests to look at."""

    def __init__(self, secret: bytes = b"\x07" * 32) -> None:
        self.secret = secret
        self.pairs: set[tuple[str, str]] = set()

    async def knows(self, account: str, network: str) -> bool:
        return (account, network) in self.pairs

    async def knows_network(self, network: str) -> bool:
        return any(known == network for _, known in self.pairs)

    def succeeded(self, account: str, network: str) -> None:
        self.pairs.add((account, network))

    def close(self) -> None:
        """Nothing to write."""
