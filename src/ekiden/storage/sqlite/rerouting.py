"""Legs that are sent another way, a slice at a time: read, thought over, and changed if they are still as they were.

What becomes of a leg is decided beside the database, so that nobody waits for the write lock meanwhile. A leg that
was claimed, tried or steered in between is not as it was read and stays as it is: nobody gets a letter twice, and what
was delivered does not come back.

Called by `SqliteSpool.reroute`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import apsw

from ekiden.model.envelope import Envelope, Leg, NewLeg
from ekiden.ports.spool import Rekey
from ekiden.storage.duty import check_rekeyed
from ekiden.storage.sqlite.connection import rows

_MOVE: Final = """UPDATE leg SET next_hop = ?, recipients = ?, next_attempt = CASE WHEN next_attempt IS NULL THEN NULL
    ELSE ? END WHERE letter = ? AND number = ? AND claimed_by IS NULL AND next_hop = ? AND recipients = ?"""
#: A further leg of the same letter, held if the first one is.
_PART: Final = """INSERT INTO leg SELECT letter, ?, ?, flow, priority, attempts, next_attempt, NULL, hold_reason, ?
    FROM leg WHERE letter = ? AND number = ?"""


class Found(NamedTuple):
    """A leg as it was read. `recipients`: as it is stored."""

    envelope: Envelope
    leg: Leg
    recipients: bytes


class Change(NamedTuple):
    """`first`: the values of _MOVE. `parts`: next hop and recipients of the legs that are split off."""

    first: tuple[Any, ...]
    parts: Sequence[tuple[str, bytes]]


def changes(found: Sequence[Found], rekey: Rekey, encode: Any, now: float) -> list[Change]:
    """What is to be done to those that `rekey` sends another way."""
    made = []
    for envelope, leg, stored in found:
        new: Sequence[NewLeg] = rekey(envelope, leg)
        check_rekeyed(leg, new)
        first, *others = [(one.next_hop, encode(one.recipients)) for one in new]
        if others or first != (leg.next_hop, encode(leg.recipients)):
            made.append(Change((*first, now, leg.letter, leg.number, leg.next_hop, stored), others))
    return made


def change(connection: apsw.Connection, slice_of: Sequence[Change]) -> int:
    """Within a transaction; how many of the legs were still as they were."""
    before = connection.total_changes()
    connection.executemany(_MOVE, [one.first for one in slice_of if not one.parts])
    count = connection.total_changes() - before
    for one in slice_of:
        if one.parts:
            count += _part(connection, one)
    return count


def _part(connection: apsw.Connection, one: Change) -> int:
    connection.execute(_MOVE, one.first)
    if not connection.changes():
        return 0
    letter, number = one.first[3:5]
    ((after,),) = rows(
        connection, "UPDATE letter SET legs = legs + ? WHERE id = ? RETURNING legs", (len(one.parts), letter)
    )
    for part, (next_hop, recipients) in enumerate(one.parts, after - len(one.parts)):
        connection.execute(_PART, (part, next_hop, recipients, letter, number))
    return 1
