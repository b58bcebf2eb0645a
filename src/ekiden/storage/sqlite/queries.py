"""Reading spool.db and its history: one connection that can not write, used from one thread.

A listing reads in pages by letter id, so that a backlog of a million letters is never in memory, and no read
transaction lives long enough to keep the write-ahead log from being reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from ekiden.model.envelope import Envelope, Leg, LegState, Recipient
from ekiden.model.ids import LetterId
from ekiden.ports.spool import QueuedLetter, Selection, TrailEntry
from ekiden.storage.duty import message_id_key
from ekiden.storage.selection import means_leg, means_letter
from ekiden.storage.sqlite.connection import open_for_reading, rows
from ekiden.storage.sqlite.history import Days
from ekiden.storage.sqlite.migrations import require
from ekiden.storage.sqlite.schema import APPLICATION_ID, STEPS

#: Letters read at once by a listing.
PAGE: Final = 500

decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_recipients = msgspec.msgpack.Decoder(list[Recipient]).decode
decode_entry = msgspec.msgpack.Decoder(TrailEntry).decode

_LEG: Final = (
    "letter, number, next_hop, flow, priority, attempts, next_attempt, claimed_by, hold_reason, recipients FROM leg"
)


class Queries:
    """`path`: spool.db. Raises DatabaseRefused. Methods raise apsw.Error."""

    def __init__(self, path: Path, days: Days) -> None:
        self._connection = open_for_reading(path)
        require(self._connection, application_id=APPLICATION_ID, steps=STEPS)
        self._days = days

    def close(self) -> None:
        self._connection.close()

    def next_due(self) -> float | None:
        """One step of the index a priority."""
        earliest: float | None = None
        for priority in priorities(self._connection):
            due: float = self._connection.execute(
                "SELECT min(next_attempt) FROM leg WHERE priority = ? AND next_attempt IS NOT NULL", (priority,)
            ).get
            earliest = due if earliest is None or (due is not None and due < earliest) else earliest
        return earliest

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

    def page(self, selection: Selection, after: int) -> tuple[list[QueuedLetter], int | None]:
        """The letters meant among the next PAGE ones behind `after`, and where to go on (None: that was the last)."""
        if selection.letter is not None:
            letters = rows(self._connection, "SELECT id, envelope FROM letter WHERE id = ?", (selection.letter,))
        else:
            letters = rows(
                self._connection, "SELECT id, envelope FROM letter WHERE id > ? ORDER BY id LIMIT ?", (after, PAGE)
            )
        found = [queued for number, blob in letters if (queued := self._queued(selection, number, blob))]
        more = selection.letter is None and len(letters) == PAGE
        return found, letters[-1][0] if more else None

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

    def _queued(self, selection: Selection, number: int, blob: bytes) -> QueuedLetter | None:
        envelope = decode_envelope(blob)
        if not means_letter(selection, number, envelope):
            return None
        legs = [leg for leg in legs_of(self._connection, number) if means_leg(selection, leg)]
        return QueuedLetter(LetterId(number), envelope, legs) if legs else None


def priorities(connection: apsw.Connection) -> Iterator[int]:
    """Those of waiting legs, highest first; one step of the index each."""
    priority = connection.execute("SELECT max(priority) FROM leg WHERE next_attempt IS NOT NULL").get
    while priority is not None:
        yield priority
        priority = connection.execute(
            "SELECT max(priority) FROM leg WHERE next_attempt IS NOT NULL AND priority < ?", (priority,)
        ).get


def due_legs(connection: apsw.Connection, now: float, limit: int) -> list[Leg]:
    """Waiting legs that are due, priority first, then oldest."""
    found: list[Leg] = []
    for priority in priorities(connection):
        due = connection.execute(
            f"SELECT {_LEG} WHERE priority = ? AND next_attempt <= ? AND next_attempt IS NOT NULL"
            " ORDER BY next_attempt, letter, number LIMIT ?",
            (priority, now, limit - len(found)),
        )
        found += map(leg_of, due)
        if len(found) >= limit:
            break
    return found


def legs_of(connection: apsw.Connection, letter: int) -> list[Leg]:
    """By number."""
    return [leg_of(row) for row in rows(connection, f"SELECT {_LEG} WHERE letter = ? ORDER BY number", (letter,))]


def legs_to_remove(connection: apsw.Connection, letter: int, is_alive: Callable[[int], bool]) -> list[Leg]:
    """The legs of a letter that no living incarnation holds."""
    found = rows(connection, f"SELECT {_LEG} WHERE letter = ? ORDER BY number", (letter,))
    return [leg_of(row) for row in found if row[7] is None or not is_alive(row[7])]


def leg_of(row: Sequence[Any]) -> Leg:
    letter, number, next_hop, flow, priority, attempts, next_attempt, claimed_by, hold_reason, recipients = row
    if claimed_by is not None:
        state = LegState.CLAIMED
    else:
        state = LegState.HELD if next_attempt is None else LegState.WAITING
    return Leg(
        letter=letter,
        number=number,
        next_hop=next_hop,
        recipients=decode_recipients(recipients),
        flow=flow,
        priority=priority,
        attempts=attempts,
        next_attempt=next_attempt,
        state=state,
        hold_reason=hold_reason,
    )
