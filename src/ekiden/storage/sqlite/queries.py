"""Reading spool.db and its history: one connection that can not write, used from one thread.

What looks at the whole queue reads in pages by leg, so that a backlog of a million letters is never in memory, and no
read transaction lives long enough to keep the write-ahead log from being reset. Of a leg that a selection does not
mean, no more is decoded than is needed to know that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from ekiden.model.envelope import Envelope, Leg, LegState, Recipient
from ekiden.model.ids import LetterId
from ekiden.ports.spool import Overdue, QueuedLetter, Selection, SiteStatus, Steer, Suspension, TrailEntry
from ekiden.storage.duty import message_id_key
from ekiden.storage.selection import (
    asks_for_envelope,
    asks_for_recipients,
    id_range,
    means_envelope,
    means_leg,
    means_letter,
    means_recipients,
    steered,
)
from ekiden.storage.sqlite.connection import open_for_reading, rows
from ekiden.storage.sqlite.history import Days
from ekiden.storage.sqlite.migrations import require
from ekiden.storage.sqlite.rerouting import Found
from ekiden.storage.sqlite.schema import APPLICATION_ID, STEPS

#: Legs read at once by a listing, and changed at most by one transaction of a bulk verb (DESIGN §4, "One writer at a
#: time, fairly").
PAGE: Final = 1000
#: Legs counted at once: nothing but two columns is read of them.
SHAPE_PAGE: Final = 10_000

#: Waiting legs that are read to find one whose next hop is not to be avoided.
LOOKED_AT: Final = 1000

#: A leg's name in the store: letter and number.
LegKey = tuple[int, int]
#: Before every leg.
START: Final[LegKey] = (-1, -1)

decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_recipients = msgspec.msgpack.Decoder(list[Recipient]).decode
decode_status = msgspec.msgpack.Decoder(SiteStatus).decode
decode_entry = msgspec.msgpack.Decoder(TrailEntry).decode

#: What `leg_of` takes.
COLUMNS: Final = "letter, number, next_hop, flow, priority, attempts, next_attempt, claimed_by, hold_reason, recipients"
#: Legs behind one, of letters below another; conditions may follow.
_LEGS: Final = f"SELECT {COLUMNS} FROM leg WHERE (letter, number) > (?, ?) AND letter < ?"
#: The same of those that are held, or were and are claimed to be taken out.
_HELD: Final = _LEGS.replace("FROM leg", "FROM leg INDEXED BY leg_held") + " AND hold_reason != ''"
#: What an INTEGER of SQLite can hold.
_LARGEST: Final = (1 << 63) - 1


class Queries:
    """`path`: spool.db. Raises DatabaseRefused. Methods raise apsw.Error."""

    def __init__(self, path: Path, days: Days) -> None:
        self._connection = open_for_reading(path)
        require(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._days = days

    def close(self) -> None:
        self._connection.close()

    def next_due(self, avoid: Collection[str]) -> float | None:
        """One step of the index a priority; LOOKED_AT legs a priority at most if there is something to `avoid`."""
        times = (self._earliest(priority, avoid) for priority in priorities(self._connection))
        return min((time for time in times if time is not None), default=None)

    def _earliest(self, priority: int, avoid: Collection[str]) -> float | None:
        """Too early rather than reading on for ever."""
        found = rows(
            self._connection,
            "SELECT next_attempt, next_hop FROM leg WHERE priority = ? AND next_attempt IS NOT NULL"
            " ORDER BY next_attempt LIMIT ?",
            (priority, LOOKED_AT if avoid else 1),
        )
        time = next((time for time, next_hop in found if next_hop not in avoid), None)
        return found[-1][0] if time is None and len(found) == LOOKED_AT else time

    def leg(self, key: LegKey) -> Leg | None:
        found = rows(self._connection, f"SELECT {COLUMNS} FROM leg WHERE letter = ? AND number = ?", key)
        return leg_of(found[0]) if found else None

    def envelope(self, letter: int) -> Envelope | None:
        found = self._connection.execute("SELECT envelope FROM letter WHERE id = ?", (letter,)).get
        return None if found is None else decode_envelope(found)

    def octets(self, letter: int) -> bytes | None:
        """Content of a letter that has no file."""
        found: bytes | None = self._connection.execute("SELECT octets FROM content WHERE letter = ?", (letter,)).get
        return found

    def content_size(self, letter: int) -> int | None:
        """Of a letter that has no file; costs no reading of it."""
        found: int | None = self._connection.execute(
            "SELECT length(octets) FROM content WHERE letter = ?", (letter,)
        ).get
        return found

    def knows(self, letter: int) -> bool:
        return self._connection.execute("SELECT 1 FROM letter WHERE id = ?", (letter,)).get is not None

    def page(self, selection: Selection, after: LegKey) -> tuple[list[QueuedLetter], LegKey | None]:
        """The legs meant among the next PAGE ones behind `after`, by letter, and where to go on (None: that was the
        last). The last letter may go on, too. Ends early when it has more letters than `selection.limit`."""
        found: list[QueuedLetter] = []
        page, more = self._meant(selection, after)
        for row in page:
            if not found or found[-1].letter != row[0]:
                envelope = self.envelope(row[0])
                if envelope is None:
                    continue
                if len(found) > selection.limit:
                    return found, row[:2]
                found.append(QueuedLetter(LetterId(row[0]), envelope, []))
            found[-1].legs.append(leg_of(row))
        return found, more

    def steered_keys(self, selection: Selection, steer: Steer, after: LegKey) -> tuple[list[LegKey], LegKey | None]:
        """The legs that `steer` would change among the next PAGE ones behind `after`, and where to go on."""
        page, more = self._meant(selection, after)
        return [row[:2] for row in page if steered(steer, _state(row))], more

    def reroutable(self, selection: Selection, after: LegKey) -> tuple[list[Found], LegKey | None]:
        """The legs meant that nobody is trying among the next PAGE ones behind `after`, and where to go on."""
        page, more = self._meant(selection, after)
        found: list[Found] = []
        envelope: Envelope | None = None
        for row in page:
            if row[7] is None:
                if not found or found[-1].leg.letter != row[0]:
                    envelope = self.envelope(row[0])
                if envelope is not None:
                    found.append(Found(envelope, leg_of(row), row[9]))
        return found, more

    def waiting(self, next_hop: str) -> int:
        question = "SELECT count(*) FROM leg INDEXED BY leg_hop WHERE priority = ? AND next_hop = ? AND"
        each = (
            self._connection.execute(f"{question} next_attempt IS NOT NULL", (priority, next_hop)).get
            for priority in priorities(self._connection)
        )
        return sum(each)

    def _meant(self, selection: Selection, after: LegKey) -> tuple[list[Any], LegKey | None]:
        first, end = id_range(selection)
        start, stop = max(after, (first, -1)), min(end, _LARGEST)
        if selection.next_hop:
            page, more = self._of_next_hop(selection.next_hop, start, stop)
        else:
            legs = _HELD if selection.hold or selection.state == LegState.HELD else _LEGS
            page = rows(self._connection, f"{legs} ORDER BY letter, number LIMIT ?", (*start, stop, PAGE))
            more = page[-1][:2] if len(page) == PAGE else None
        if selection.state:
            page = [row for row in page if _state(row) == selection.state]
        if selection.hold:
            page = [row for row in page if row[8].startswith(selection.hold)]
        if asks_for_recipients(selection):
            page = [row for row in page if means_recipients(selection, decode_recipients(row[9]))]
        if asks_for_envelope(selection):
            page = self._of_letters_meant(selection, page)
        return page, more

    def _of_next_hop(self, next_hop: str, start: LegKey, stop: int) -> tuple[list[Any], LegKey | None]:
        """PAGE legs at most, of the next SHAPE_PAGE ones: SQLite passes over what goes elsewhere."""
        bounds = rows(
            self._connection,
            "SELECT letter, number FROM leg WHERE (letter, number) > (?, ?) AND letter < ?"
            " ORDER BY letter, number LIMIT 1 OFFSET ?",
            (*start, stop, SHAPE_PAGE - 1),
        )
        last = bounds[0] if bounds else (stop - 1, _LARGEST)
        page = rows(  # it is `letter < ?` that ends the scan
            self._connection,
            f"{_LEGS} AND (letter, number) <= (?, ?) AND next_hop = ? ORDER BY letter, number LIMIT ?",
            (*start, last[0] + 1, *last, next_hop, PAGE),
        )
        if len(page) == PAGE:
            return page, page[-1][:2]
        return page, last if bounds else None

    def _of_letters_meant(self, selection: Selection, page: Sequence[Any]) -> list[Any]:
        found, letter, is_meant = [], -1, False
        for row in page:
            if row[0] != letter:
                letter = row[0]
                envelope = self.envelope(letter)
                is_meant = envelope is not None and means_envelope(selection, envelope)
            if is_meant:
                found.append(row)
        return found

    def shape_page(self, firsts: Sequence[int], shape: dict[str, list[int]], after: LegKey) -> LegKey | None:
        """Counts the next SHAPE_PAGE legs behind `after` into `shape`, and where to go on. `firsts`: the first id of
        each column, latest first."""
        columns, ascending = len(firsts), sorted(firsts)
        page = rows(
            self._connection,
            "SELECT letter, number, next_hop FROM leg WHERE (letter, number) > (?, ?) ORDER BY letter, number LIMIT ?",
            (*after, SHAPE_PAGE),
        )
        for letter, _, next_hop in page:
            counts = shape.get(next_hop)
            if counts is None:
                counts = shape[next_hop] = [0] * (columns + 1)
            counts[columns - bisect_right(ascending, letter)] += 1
        return page[-1][:2] if len(page) == SHAPE_PAGE else None

    def claimed_by(self, incarnation: int, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        """Legs by key, paged behind `after`."""
        return rows(
            self._connection,
            "SELECT letter, number FROM leg WHERE claimed_by = ? AND (letter, number) > (?, ?)"
            " ORDER BY letter, number LIMIT ?",
            (incarnation, *after, limit),
        )

    def claimants(self) -> set[int]:
        """Whoever holds a claim or is registered. Reads all legs."""
        question = "SELECT claimed_by FROM leg WHERE claimed_by IS NOT NULL UNION SELECT number FROM incarnation"
        return {row[0] for row in rows(self._connection, question)}

    def suspensions(self) -> list[Suspension]:
        found = rows(self._connection, "SELECT site, until, reason, by, since FROM suspension ORDER BY site")
        return [Suspension(*row) for row in found]

    def site_statuses(self, is_alive: Callable[[int], bool]) -> list[SiteStatus]:
        found = rows(self._connection, "SELECT incarnation, told FROM site ORDER BY name, incarnation")
        living = {number for number in {row[0] for row in found} if is_alive(number)}
        statuses = []
        for number, told in found:
            if number in living:
                statuses.append(decode_status(told))
                statuses[-1].told_by = number
        return statuses

    def overdue(
        self, overdue: Overdue, first_late: int, first_expired: int
    ) -> tuple[dict[LegKey, float], LegKey | None]:
        """When the legs meant would be due, among the next PAGE ones behind `overdue.after`; and where to go on."""
        page = rows(
            self._connection,
            "SELECT letter, number, next_hop, next_attempt, recipients FROM leg"
            " WHERE (letter, number) > (?, ?) AND letter < ? ORDER BY letter, number LIMIT ?",
            (*(overdue.after or START), max(first_late, first_expired), PAGE),
        )
        found: dict[LegKey, float] = {}
        for letter, number, next_hop, due, recipients in page:
            if due is None or next_hop not in overdue.next_hops:
                continue
            if letter < first_expired or not all(one.delay_reported for one in decode_recipients(recipients)):
                found[letter, number] = due
                if len(found) == overdue.limit:
                    return found, (letter, number)
        return found, page[-1][:2] if len(page) == PAGE else None

    def counts(self) -> dict[str, int]:
        question = "SELECT count(next_attempt), count(claimed_by), count(*), (SELECT count(*) FROM letter) FROM leg"
        ((waiting, claimed, legs, letters),) = rows(self._connection, question)
        return {
            LegState.WAITING.value: waiting,
            LegState.CLAIMED.value: claimed,
            LegState.HELD.value: legs - waiting - claimed,
            "letters": letters,
        }

    def trail(self, letter: LetterId) -> list[TrailEntry]:
        """The outbox first: what is carried away meanwhile is then found in the days, perhaps twice."""
        question = "SELECT id, entry FROM outbox WHERE letter = ?"
        found: dict[int, bytes] = dict(rows(self._connection, question, (letter,)))
        for day in self._days.since_letter(letter):
            found.update(self._days.of_letter(day, letter))
        return [decode_entry(found[number]) for number in sorted(found)]

    def letters_with_message_id(self, message_id: str) -> list[LetterId]:
        """Queued ones and those of history. The queue is searched without an index: this is a person's question."""
        key = message_id_key(message_id)
        found: set[int] = set()
        if not key:
            return []
        pattern = key.encode()
        for number, blob in self._connection.execute(
            "SELECT id, envelope FROM letter WHERE instr(envelope, ?)", (pattern,)
        ):
            if message_id_key(decode_envelope(blob).message_id) == key:
                found.add(number)
        for number, blob in self._connection.execute(
            "SELECT letter, entry FROM outbox WHERE letter != 0 AND instr(entry, ?)", (pattern,)
        ):
            if message_id_key(decode_entry(blob).envelope.message_id) == key:
                found.add(number)
        for day in self._days.all():
            found.update(self._days.with_message_id(day, key))
        return sorted(map(LetterId, found))


def priorities(connection: apsw.Connection) -> Iterator[int]:
    """Those of waiting legs, highest first; one step of the index each."""
    priority = connection.execute("SELECT max(priority) FROM leg WHERE next_attempt IS NOT NULL").get
    while priority is not None:
        yield priority
        priority = connection.execute(
            "SELECT max(priority) FROM leg WHERE next_attempt IS NOT NULL AND priority < ?", (priority,)
        ).get


def legs_to_remove(
    connection: apsw.Connection, letter: int, selection: Selection | None, is_alive: Callable[[int], bool]
) -> list[LegKey]:
    """The legs of a letter that are meant and that no living incarnation holds."""
    if selection is not None:
        envelope = connection.execute("SELECT envelope FROM letter WHERE id = ?", (letter,)).get
        if envelope is None or not means_letter(selection, letter, decode_envelope(envelope)):
            return []
    found = rows(connection, f"SELECT {COLUMNS} FROM leg WHERE letter = ? ORDER BY number", (letter,))
    legs = [leg_of(row) for row in found if row[7] is None or not is_alive(row[7])]
    return [(leg.letter, leg.number) for leg in legs if selection is None or means_leg(selection, leg)]


def leg_of(row: Sequence[Any]) -> Leg:
    letter, number, next_hop, flow, priority, attempts, next_attempt, _, hold_reason, recipients = row
    return Leg(
        letter=letter,
        number=number,
        next_hop=next_hop,
        recipients=decode_recipients(recipients),
        flow=flow,
        priority=priority,
        attempts=attempts,
        next_attempt=next_attempt,
        state=_state(row),
        hold_reason=hold_reason,
    )


def _state(row: Sequence[Any]) -> LegState:
    if row[7] is not None:
        return LegState.CLAIMED
    return LegState.HELD if row[6] is None else LegState.WAITING
