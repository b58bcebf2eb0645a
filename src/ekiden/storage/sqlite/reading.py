"""The spool as a reader sees it: for `ekiden queue list`, `show` and `trace` beside a running server.

Nothing here writes: no incarnation, no lock, no row. `SqliteSpool` answers the same questions through the same class.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ekiden.model.ids import LetterId, first_id
from ekiden.ports.spool import Claim, Content, QueuedLetter, Selection, SiteStatus, SpoolFailed, Suspension, TrailEntry
from ekiden.storage.duty import CHUNK_OCTETS, SMALL_OCTETS
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.sqlite.claims import Incarnations
from ekiden.storage.sqlite.connection import DatabaseRefused
from ekiden.storage.sqlite.content import ContentFiles, FileContent
from ekiden.storage.sqlite.history import Days
from ekiden.storage.sqlite.queries import START, LegKey, Queries

T = TypeVar("T")

#: Small content that one `claim` takes into memory; what is beyond is read when it is needed.
CLAIM_OCTETS: Final = 16 * 1024 * 1024


class Places:
    """Where things lie in the spool's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "spool.db"
        self.lock = folder / "spool.lock"
        self.content = folder / "content"
        self.incarnations = folder / "incarnations"
        self.history = folder / "history"


class SpoolReader:
    """The reading half of `ports.spool.Spool`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._queries = Queries(places.database, Days(places.history))
        self._files = ContentFiles(places.content)
        self._incarnations = Incarnations(places.incarnations)
        self._readers: Executor = ThreadPoolExecutor(1, "ekiden-spool-read")
        self._pool: Executor = ThreadPoolExecutor(4, "ekiden-spool-files")

    async def next_due(self, avoid: Collection[str] = ()) -> float | None:
        avoided = frozenset(avoid)
        return await self._ask(lambda: self._queries.next_due(avoided))

    async def find(self, selection: Selection) -> list[QueuedLetter]:
        found: list[QueuedLetter] = []
        after: LegKey | None = START
        while after is not None:
            if len(found) > selection.limit or (len(found) == selection.limit and found[-1].letter < after[0]):
                break
            start = after
            page, after = await self._ask(lambda: self._queries.page(selection, start))  # noqa: B023 - awaited here
            if found and page and page[0].letter == found[-1].letter:
                found[-1].legs += page.pop(0).legs
            found += page
        return found[: selection.limit]

    async def shape(self, edges: Sequence[float]) -> dict[str, list[int]]:
        """One question a page, so that others get their turn in between."""
        shape: dict[str, list[int]] = {}
        firsts = [first_id(edge) for edge in edges]
        after: LegKey | None = START
        while after is not None:
            start = after
            after = await self._ask(lambda: self._queries.shape_page(firsts, shape, start))  # noqa: B023 - awaited here
        return shape

    async def waiting(self, next_hop: str) -> int:
        return await self._ask(lambda: self._queries.waiting(next_hop))

    async def suspensions(self) -> list[Suspension]:
        return await self._ask(self._queries.suspensions)

    async def site_statuses(self) -> list[SiteStatus]:
        return await self._ask(lambda: self._queries.site_statuses(self._incarnations.is_alive))

    async def content(self, letter: LetterId) -> Content | None:
        return await self._ask(lambda: self._content(letter, SMALL_OCTETS))

    async def trail(self, letter: LetterId) -> list[TrailEntry]:
        return await self._ask(lambda: self._queries.trail(letter))

    async def letters_with_message_id(self, message_id: str) -> list[LetterId]:
        return await self._ask(lambda: self._queries.letters_with_message_id(message_id))

    async def counts(self) -> dict[str, int]:
        return await self._ask(self._queries.counts)

    async def close(self) -> None:
        await self._ask(self._queries.close)
        await self._end_threads()

    async def _end_threads(self) -> None:
        """What the file threads have begun is done before this returns."""
        await asyncio.get_running_loop().run_in_executor(self._readers, self._pool.shutdown)
        self._readers.shutdown(wait=False)

    async def _ask(self, question: Callable[[], T]) -> T:
        """On the reading thread. Raises SpoolFailed."""

        def ask() -> T:
            try:
                return question()
            except (apsw.Error, DatabaseRefused) as error:
                raise SpoolFailed(f"{type(error).__name__}: {error}") from error

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, ask)
        except RuntimeError as error:  # the executor was shut down
            raise SpoolFailed("the spool is closed") from error

    def _content(self, letter: LetterId, budget: int) -> Content | None:
        """On the reading thread. `budget`: octets that may be taken into memory."""
        size = self._queries.content_size(letter)
        if size is None:
            return self._file_content(letter)
        if size > min(SMALL_OCTETS, budget):
            return RowContent(self, letter, size)
        octets = self._queries.octets(letter)
        return None if octets is None else MemoryContent(octets)

    def _file_content(self, letter: LetterId) -> Content | None:
        envelope = self._queries.envelope(letter)
        if envelope is None:
            return None
        path = self._files.path(letter)
        try:
            size = path.stat().st_size
        except OSError:
            size = envelope.size_octets  # reading it will say what is wrong
        return FileContent(path, size, self._pool)

    def _claims(self, keys: Sequence[LegKey]) -> list[Claim]:
        """On the reading thread: legs that were claimed, with envelope and content; several of a letter share them."""
        legs = [leg for leg in map(self._queries.leg, keys) if leg is not None]
        budget = CLAIM_OCTETS
        loaded: dict[LetterId, Claim] = {}
        claims: list[Claim] = []
        for leg in legs:
            first = loaded.get(leg.letter)
            if first is not None:
                claims.append(Claim(leg.letter, first.envelope, leg, first.content))
                continue
            envelope = self._queries.envelope(leg.letter)
            content = self._content(leg.letter, budget)
            if envelope is None or content is None:
                raise SpoolFailed(f"letter {leg.letter} has a leg, but no envelope or content")
            budget -= content.size_octets if content.octets is not None else 0
            loaded[leg.letter] = Claim(leg.letter, envelope, leg, content)
            claims.append(loaded[leg.letter])
        return claims


class ReadOnlySpool(SpoolReader):
    """For commands: `ReadOnlySpool.open(folder)`."""

    @classmethod
    def open(cls, folder: Path | str) -> ReadOnlySpool:
        """Raises DatabaseRefused, also if there is no spool in `folder` yet."""
        return cls(Places(Path(folder)))


class RowContent:
    """`ports.spool.Content` of a letter whose octets stay in the database until they are read."""

    __slots__ = ("_letter", "_size", "_spool")

    def __init__(self, spool: SpoolReader, letter: LetterId, size_octets: int) -> None:
        self._spool = spool
        self._letter = letter
        self._size = size_octets

    @property
    def size_octets(self) -> int:
        return self._size

    @property
    def octets(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        octets = await self._octets()
        for start in range(0, len(octets), CHUNK_OCTETS):
            yield octets[start : start + CHUNK_OCTETS]

    async def head(self, limit: int) -> bytes:
        return (await self._octets())[:limit]

    async def _octets(self) -> bytes:
        octets = await self._spool._ask(lambda: self._spool._queries.octets(self._letter))
        if octets is None:
            raise SpoolFailed(f"content of letter {self._letter} is gone")
        return octets
