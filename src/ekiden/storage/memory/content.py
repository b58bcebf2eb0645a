"""Content and drafts in memory: for the memory engine, and for every letter small enough in the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from ekiden.model.ids import LetterId
from ekiden.storage.duty import CHUNK_OCTETS, SMALL_OCTETS


class MemoryContent:
    """`ports.spool.Content` over octets that are in memory already."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    @property
    def size_octets(self) -> int:
        return len(self._octets)

    @property
    def octets(self) -> bytes | None:
        return self._octets if len(self._octets) <= SMALL_OCTETS else None

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._octets), CHUNK_OCTETS):
            yield self._octets[start : start + CHUNK_OCTETS]

    async def head(self, limit: int) -> bytes:
        return self._octets[:limit]


class MemoryDraft:
    """`ports.spool.Draft`. `guard` is called before each write and may raise SpoolFailed."""

    __slots__ = ("_guard", "_letter", "_pieces", "_size", "discarded")

    def __init__(self, letter: LetterId, guard: Callable[[str], None]) -> None:
        self._letter = letter
        self._guard = guard
        self._pieces: list[bytes] = []
        self._size = 0
        self.discarded = False

    @property
    def letter(self) -> LetterId:
        return self._letter

    @property
    def size_octets(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        self._guard("write")
        self._pieces.append(bytes(data))
        self._size += len(data)

    def overwrite(self, position: int, data: bytes) -> None:
        self._guard("write")
        octets = self.octets()
        self._pieces = [octets[:position], data, octets[position + len(data) :]]

    def drain(self) -> Awaitable[None] | None:
        return None

    def discard(self) -> None:
        self.discarded = True
        self._pieces.clear()

    def octets(self) -> bytes:
        return b"".join(self._pieces)
