"""Use cases around the queue, behind every face (CLI, later the console).

Looking changes nothing. What steers leaves an event that says who did it; removal goes through `claim_for_removal` and
`record`, so that responsibility ends at its one door and the trail says who ended it (invariant 2).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ekiden.model.events import QueueChanged
from ekiden.model.ids import LetterId, parse_id, render_id
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.spool import Claim, Content, QueuedLetter, Record, Selection, Spool, Steer, TrailEntry


class Story(NamedTuple):
    """All that is known of a letter. `queued` None: it has left the queue."""

    letter: LetterId
    queued: QueuedLetter | None
    trail: list[TrailEntry]


class Removal(NamedTuple):
    """`removed`: legs that left the queue. `busy`: legs that a worker is trying right now."""

    removed: int
    busy: int


class NoSuchLetter(Exception):
    """`str()` is a sentence for people."""


class LetterReader(Protocol):
    """The reading half of `ports.spool.Spool`: enough to look, and it can be had without becoming a worker."""

    async def find(self, selection: Selection) -> list[QueuedLetter]: ...

    async def content(self, letter: LetterId) -> Content | None: ...

    async def trail(self, letter: LetterId) -> list[TrailEntry]: ...

    async def letters_with_message_id(self, message_id: str) -> list[LetterId]: ...

    async def counts(self) -> dict[str, int]: ...


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

    async def story(self, letter: LetterId) -> Story:
        """Raises NoSuchLetter, SpoolFailed."""
        queued = await _queued(self._reader, letter)
        trail = await self._reader.trail(letter)
        if queued is None and not trail:
            raise NoSuchLetter(f"no letter {render_id(letter)} is queued, and none of that id is in the trail")
        return Story(letter, queued, trail)

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


class QueueDesk:
    """Steers. `by`: who acts, for events and the trail."""

    def __init__(self, spool: Spool, sink: EventSink, clock: Clock, *, by: str) -> None:
        self._spool = spool
        self._sink = sink
        self._clock = clock
        self._by = by

    async def retry(self, letter: LetterId | None) -> int:
        """Makes the waiting legs of a letter, or of all letters (None), due at once; how many. Raises NoSuchLetter,
        SpoolFailed."""
        if letter is not None:
            await self._must_be_queued(letter)
        legs = await self._spool.apply(Selection(letter=letter), Steer.RETRY, now=self._clock.now())
        self._tell("retry", letter, legs)
        return legs

    async def remove(self, letter: LetterId) -> Removal:
        """Takes the letter out of the queue; nobody gets a report. Legs under way are left alone. Raises
        NoSuchLetter, SpoolFailed."""
        queued = await self._must_be_queued(letter)
        claims = await self._spool.claim_for_removal(letter)
        removed = sum([await self._spool.record(self._removal(claim)) for claim in claims])
        if removed:
            self._tell("remove", letter, removed)
        return Removal(removed, max(len(queued.legs) - removed, 0))

    def _removal(self, claim: Claim) -> Record:
        text = f"removed by {self._by}"
        return Record(
            claim=claim,
            outcomes=[Outcome(r.forward_path, OutcomeKind.REMOVED, text=text) for r in claim.leg.recipients],
            counts=False,
        )

    async def _must_be_queued(self, letter: LetterId) -> QueuedLetter:
        queued = await _queued(self._spool, letter)
        if queued is None:
            raise NoSuchLetter(f"no letter {render_id(letter)} is queued; `ekiden queue list` shows those that are")
        return queued

    def _tell(self, action: str, letter: LetterId | None, legs: int) -> None:
        shown = "all" if letter is None else render_id(letter)
        self._sink.emit(QueueChanged(action=action, letter=shown, by=self._by, legs=legs))


async def _queued(reader: LetterReader, letter: LetterId) -> QueuedLetter | None:
    found = await reader.find(Selection(letter=letter, limit=1))
    return found[0] if found else None
