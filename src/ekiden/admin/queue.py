"""Looking at the queue, behind every face (CLI, later the console). It changes nothing; `steering` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from ekiden.admin.hindrances import Hindrances
from ekiden.model.ids import LetterId, parse_id, render_id
from ekiden.ports.spool import Content, QueuedLetter, Selection, SiteStatus, Suspension, TrailEntry


class Story(NamedTuple):
    """All that is known of a letter. `queued` None: it has left the queue."""

    letter: LetterId
    queued: QueuedLetter | None
    trail: list[TrailEntry]
    hindrances: Hindrances = Hindrances()


class Shape(NamedTuple):
    """Legs by next hop and age. `ages`: the columns' upper bounds in seconds; one more column is of what is older.
    `rows`: next-hop key and counts, the most legs first."""

    ages: tuple[float, ...]
    rows: list[tuple[str, list[int]]]


#: What is waiting for its first, second, … attempt; what waits for an hour; what a sender has been told of by now.
SHAPE_AGES: Final = (300.0, 1200.0, 3600.0, 4 * 3600.0, 86400.0, 2 * 86400.0)


class NoSuchLetter(Exception):
    """`str()` is a sentence for people."""


class LetterReader(Protocol):
    """The reading half of `ports.spool.Spool`: enough to look, and it can be had without becoming a worker."""

    async def find(self, selection: Selection) -> list[QueuedLetter]: ...

    async def content(self, letter: LetterId) -> Content | None: ...

    async def trail(self, letter: LetterId) -> list[TrailEntry]: ...

    async def letters_with_message_id(self, message_id: str) -> list[LetterId]: ...

    async def counts(self) -> dict[str, int]: ...

    async def shape(self, edges: Sequence[float]) -> dict[str, list[int]]: ...

    async def suspensions(self) -> list[Suspension]: ...

    async def site_statuses(self) -> list[SiteStatus]: ...

    async def waiting(self, next_hop: str) -> int: ...


class QueueView:
    """Looks, and changes nothing."""

    def __init__(self, reader: LetterReader) -> None:
        self._reader = reader

    async def letters(self, selection: Selection) -> list[QueuedLetter]:
        """In the order of ids. Raises SpoolFailed."""
        return await self._reader.find(selection)

    async def counts(self) -> dict[str, int]:
        """Legs by state, and 'letters'. Raises SpoolFailed."""
        return await self._reader.counts()

    async def shape(self, now: float) -> Shape:
        """`now`: seconds since 1970. Reads no letter. Raises SpoolFailed."""
        counted = await self._reader.shape([now - age for age in SHAPE_AGES])
        return Shape(SHAPE_AGES, sorted(counted.items(), key=lambda row: (-sum(row[1]), row[0])))

    async def suspensions(self, now: float) -> list[Suspension]:
        """Those that last. Raises SpoolFailed."""
        return [one for one in await self._reader.suspensions() if one.lasts(now)]

    async def hindrances(self) -> Hindrances:
        """What keeps letters from their sites. Raises SpoolFailed."""
        return Hindrances(await self._reader.suspensions(), await self._reader.site_statuses())

    async def waiting_at(self, status: SiteStatus) -> int:
        """Legs that wait for the next hops of a site, as far as these were told. Raises SpoolFailed."""
        return sum([await self._reader.waiting(next_hop) for next_hop in status.next_hops])

    async def waiting(self, next_hop: str) -> int:
        """Raises SpoolFailed."""
        return await self._reader.waiting(next_hop)

    async def story(self, letter: LetterId) -> Story:
        """Raises NoSuchLetter, SpoolFailed."""
        queued = await queued_letter(self._reader, letter)
        trail = await self._reader.trail(letter)
        if queued is None and not trail:
            raise NoSuchLetter(f"no letter {render_id(letter)} is queued, and none of that id is in the trail")
        return Story(letter, queued, trail, await self.hindrances() if queued else Hindrances())

    async def trace(self, text: str) -> list[Story]:
        """By letter id, or by Message-ID with or without its angle brackets. Raises NoSuchLetter, SpoolFailed."""
        try:
            letter = LetterId(parse_id(text))
        except ValueError:
            letters = await self._reader.letters_with_message_id(text)
        else:
            return [await self.story(letter)]
        if not letters:
            raise NoSuchLetter(f"no letter has the id or Message-ID {text}")
        return [await self.story(letter) for letter in letters]

    async def content(self, letter: LetterId) -> Content:
        """Raises NoSuchLetter, SpoolFailed."""
        content = await self._reader.content(letter)
        if content is None:
            raise NoSuchLetter(f"letter {render_id(letter)} is not queued; content is kept only as long as it is")
        return content

    async def header_section(self, letter: LetterId, content: Content) -> bytes:
        """With the empty line that ends it. Raises NoSuchLetter, SpoolFailed."""
        queued = await queued_letter(self._reader, letter)
        if queued is None:
            raise NoSuchLetter(f"letter {render_id(letter)} has just left the queue")
        return await content.head(queued.envelope.header_octets)


async def queued_letter(reader: LetterReader, letter: LetterId) -> QueuedLetter | None:
    """Raises SpoolFailed."""
    found = await reader.find(Selection(letter=letter, limit=1))
    return found[0] if found else None
