"""What the spool's verbs do within their transaction (on the writer's thread), as plain functions of a connection.

Everything from the loop's thread comes encoded: nothing here sees an object that somebody may still change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from ekiden.model.envelope import NewLeg
from ekiden.model.ids import Incarnation, LetterId
from ekiden.ports.spool import Record, Report, Selection, Steer, Suspension
from ekiden.storage.duty import UNTOLD, trail_entry
from ekiden.storage.sqlite.connection import rows
from ekiden.storage.sqlite.queries import LegKey, legs_to_remove
from ekiden.storage.sqlite.turns import Due, Turns
from ekiden.storage.sqlite.writer import insert, insert_legs

#: Rows that one transaction of a bulk verb changes (DESIGN §4, "One writer at a time, fairly").
SLICE: Final = 1000

encode: Final = msgspec.msgpack.Encoder().encode

#: A leg that was held before it was claimed for removal keeps its `hold_reason`, and is held again if it is given
#: back: what a person holds never leaves because a command failed.
_UNLESS_HELD: Final = "CASE hold_reason WHEN '' THEN ? END"

_STEERING: Final = {
    Steer.HOLD: "UPDATE leg SET next_attempt = NULL, hold_reason = ?1"
    " WHERE letter = ?3 AND number = ?4 AND next_attempt IS NOT NULL AND ?2 IS NOT NULL",
    Steer.RELEASE: "UPDATE leg SET next_attempt = ?2, hold_reason = ''"
    " WHERE letter = ?3 AND number = ?4 AND next_attempt IS NULL AND claimed_by IS NULL AND ?1 IS NOT NULL",
    Steer.RETRY: "UPDATE leg SET next_attempt = ?2"
    " WHERE letter = ?3 AND number = ?4 AND next_attempt IS NOT NULL AND ?1 IS NOT NULL",
}


def leg_rows(
    letter: int, first: int, legs: Iterable[NewLeg], due: float | None, owner: Incarnation | None
) -> list[tuple[Any, ...]]:
    """Rows for `insert_legs`, numbered from `first`."""
    return [
        (letter, number, leg.next_hop, leg.flow, leg.priority, leg.attempts, due, owner, encode(leg.recipients))
        for number, leg in enumerate(legs, first)
    ]


def letter_row(
    letter: int,
    envelope: bytes,
    octets: bytes | None,
    legs: Sequence[NewLeg],
    due: float | None,
    owner: Incarnation | None,
) -> tuple[Any, ...]:
    """A row for `work`: the letter with its first leg. `octets` None: it has a file."""
    leg = legs[0]
    recipients = encode(leg.recipients)
    return (letter, len(legs), envelope, octets, leg.next_hop, leg.flow, leg.priority, due, owner, recipients)


def accept_held(
    connection: apsw.Connection, row: tuple[Any, ...], more: Sequence[tuple[Any, ...]], reason: str
) -> list[Any]:
    """A letter that nobody tries before it is released: rare, so that the usual one costs nothing for it."""
    insert(connection, [row])
    insert_legs(connection, more)
    connection.execute("UPDATE leg SET next_attempt = NULL, hold_reason = ? WHERE letter = ?", (reason, row[0]))
    return []


class Retelling:
    """A record with more to it than the last word on a leg: what remains, reports, expansions.

    Called within the transaction; gives False if the claim was lost. `letter_gone`: that was the letter's last leg.
    """

    __slots__ = ("_due", "_entry", "_expanded", "_hold", "_key", "_owner", "_remaining", "_reports", "letter_gone")

    def __init__(self, record: Record, owner: Incarnation, now: float) -> None:
        claim = record.claim
        self._key = (claim.letter, claim.leg.number, owner)
        self._owner = owner
        self._due = now
        self._entry = encode(trail_entry(record, now, [int(r.letter) for r in record.reports]))
        if not record.outcomes:
            self._entry = b""  # nothing happened that history should tell
        self._remaining: tuple[Any, ...] | None = None
        if record.remaining:
            hop = record.next_hop or claim.leg.next_hop
            self._remaining = (encode(record.remaining), hop, int(record.counts), record.next_attempt)
        self._hold = record.hold_reason
        self._expanded = leg_rows(claim.letter, 0, record.expanded, now, None)
        self._reports = [self._report(report) for report in record.reports]
        self.letter_gone = False

    def __call__(self, connection: apsw.Connection) -> bool:
        self.letter_gone = False
        if not self._change_leg(connection):
            return False
        letter = self._key[0]
        if self._expanded:
            self._expand(connection, letter)
        for first, more in self._reports:
            insert(connection, [first])
            insert_legs(connection, more)
        if self._entry:
            connection.execute("INSERT INTO outbox (letter, entry) VALUES (?, ?)", (letter, self._entry))
        if self._remaining is None and not self._expanded:
            self._end_letter(connection, letter)
        return True

    def _change_leg(self, connection: apsw.Connection) -> bool:
        if self._remaining is None:
            connection.execute("DELETE FROM leg WHERE letter = ? AND number = ? AND claimed_by = ?", self._key)
        else:
            connection.execute(
                "UPDATE leg SET recipients = ?, next_hop = ?, attempts = attempts + ?,"
                f" next_attempt = {_UNLESS_HELD}, claimed_by = NULL WHERE letter = ? AND number = ? AND claimed_by = ?",
                self._remaining + self._key,
            )
        changed: bool = connection.changes() == 1
        if changed and self._remaining is not None and self._hold:
            connection.execute(
                "UPDATE leg SET next_attempt = NULL, hold_reason = ? WHERE letter = ? AND number = ?",
                (self._hold, *self._key[:2]),
            )
        return changed

    def _expand(self, connection: apsw.Connection, letter: int) -> None:
        count = len(self._expanded)
        after: int = connection.execute(
            "UPDATE letter SET legs = legs + ? WHERE id = ? RETURNING legs", (count, letter)
        ).get
        numbered = [(row[0], after - count + row[1], *row[2:]) for row in self._expanded]
        insert_legs(connection, numbered)

    def _end_letter(self, connection: apsw.Connection, letter: int) -> None:
        connection.execute(
            "DELETE FROM letter WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM leg WHERE letter = ?1)", (letter,)
        )
        if connection.changes():
            self.letter_gone = True
            connection.execute("DELETE FROM content WHERE letter = ?", (letter,))

    def _report(self, report: Report) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        number = report.letter
        first = letter_row(number, encode(report.envelope), report.content, report.legs, self._due, None)
        return first, leg_rows(number, 1, report.legs[1:], self._due, None)


def claim_due(
    connection: apsw.Connection, owner: Incarnation, now: float, limit: int, avoid: Collection[str], turns: Turns
) -> list[LegKey]:
    """Higher priorities first, then the oldest."""
    claimed: list[Due] = []
    for part in turns.due(connection, now, limit, avoid):
        _give(connection, owner, [leg[2:4] for leg in part])
        claimed += part
    return [leg[2:4] for leg in sorted(claimed)]


def claim_to_remove(
    connection: apsw.Connection,
    owner: Incarnation,
    letter: LetterId,
    selection: Selection | None,
    is_alive: Callable[[int], bool],
) -> list[LegKey]:
    keys = legs_to_remove(connection, letter, selection, is_alive)
    _give(connection, owner, keys)
    return keys


def claim_waiting(connection: apsw.Connection, owner: Incarnation, keys: Sequence[LegKey]) -> list[LegKey]:
    """Those of `keys` that still wait."""
    question = (
        "SELECT letter, number FROM leg WHERE next_attempt IS NOT NULL"
        " AND (letter, number) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
    )
    waiting = rows(connection, question, (msgspec.json.encode(keys).decode(),))
    _give(connection, owner, waiting)
    return waiting


def give_back(connection: apsw.Connection, owner: int, keys: Sequence[LegKey], due: float) -> int:
    """Claims of `owner` become waiting, or held again; how many. What it does not hold is left alone."""
    before = connection.total_changes()
    connection.executemany(
        f"UPDATE leg SET claimed_by = NULL, next_attempt = {_UNLESS_HELD}"
        " WHERE letter = ? AND number = ? AND claimed_by = ?",
        [(due, letter, number, owner) for letter, number in keys],
    )
    return connection.total_changes() - before


def steer_legs(connection: apsw.Connection, steer: Steer, keys: Sequence[LegKey], now: float, reason: str) -> int:
    """Those that are still in a state that `steer` changes; how many."""
    before = connection.total_changes()
    connection.executemany(_STEERING[steer], [(reason or UNTOLD, now, letter, number) for letter, number in keys])
    return connection.total_changes() - before


def suspend(connection: apsw.Connection, new: Suspension) -> None:
    """And forgets those that have ended."""
    connection.execute("DELETE FROM suspension WHERE until <= ?", (new.since,))
    connection.execute(
        "INSERT OR REPLACE INTO suspension VALUES (?, ?, ?, ?, ?)",
        (new.site, new.until, new.reason, new.by, new.since),
    )


def resume(connection: apsw.Connection, site: str, now: float) -> bool:
    connection.execute("DELETE FROM suspension WHERE until <= ?", (now,))
    connection.execute("DELETE FROM suspension WHERE site = ?", (site,))
    return connection.changes() > 0


def tell_sites(
    connection: apsw.Connection, owner: Incarnation, changed: Sequence[tuple[str, bytes]], gone: Collection[str]
) -> None:
    connection.executemany("DELETE FROM site WHERE name = ? AND incarnation = ?", [(name, owner) for name in gone])
    connection.executemany(
        "INSERT OR REPLACE INTO site VALUES (?, ?, ?)", [(name, owner, told) for name, told in changed]
    )


def forget_incarnation(connection: apsw.Connection, number: Incarnation) -> None:
    connection.execute("DELETE FROM site WHERE incarnation = ?", (number,))
    connection.execute("DELETE FROM incarnation WHERE number = ?", (number,))


def _give(connection: apsw.Connection, owner: Incarnation, keys: Sequence[LegKey]) -> None:
    """In one step: see `turns`, rule 5."""
    connection.execute(
        "UPDATE leg SET claimed_by = ?, next_attempt = NULL"
        " WHERE (letter, number) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
        (owner, msgspec.json.encode(keys).decode()),
    )
