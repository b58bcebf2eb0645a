"""Which due legs a claim takes: all, while they fit; else everybody in turn.

Rules
1. While no more is due than fits, all of it is taken, by the index of time (`leg_due`); nothing else is looked at.
2. When more is due, half of a claim goes round the next hops (`leg_hop`) and half round the flows (`leg_flow`), from
   where the last claim stopped; each gives its oldest. So one letter to another next hop, or of another flow, comes
   with its first turn, however many are due before it. What then is still free is filled with the oldest.
3. Higher priorities first; but a part of the claim is left to what is due below them, so that nobody starves.
4. Going round is a *loose scan*: one step of an index finds the next name, one more when its first leg is due. A next
   hop that is avoided costs these two steps, however many legs wait for it.
5. A call into SQLite gives the interpreter's lock away, and each row is a call: on a busy worker that is what a claim
   would wait for, with the write lock held. So whole pages come as one row of JSON.
6. All reading is bounded (NAMES, LEGS_READ). What a claim did not come to, a later one finds: the rings go on there.

Called by `verbs.claim_due`, on the writer's thread, within the transaction that claims.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import apsw
import msgspec

from ekiden.storage.sqlite.queries import LOOKED_AT, priorities

#: Names that one ring looks at in one claim; see rule 6.
NAMES: Final = 2000
#: Names found by one statement.
PAGE: Final = 256
#: Legs that the flows' turns of one claim read past because their next hops are avoided.
LEGS_READ: Final = 2000
#: One in so many legs of a claim is left to lower priorities.
LOWER_PART: Final = 8

#: A leg that is due: priority negated, next attempt, letter, number, next hop. They sort as they are to be claimed.
Due = tuple[int, float, int, int, str]

_DUE: Final = "priority = ?1 AND next_attempt <= ?2 AND next_attempt IS NOT NULL"
_OLDEST: Final = "ORDER BY next_attempt, letter, number LIMIT"
_LEG: Final = "json_array(-priority, next_attempt, letter, number, next_hop)"
#: The names with which an index begins, behind a given one, and the oldest leg of each that is due, or null.
_NAMES: Final = f"""WITH RECURSIVE ring(name) AS (
        SELECT (SELECT {{name}} FROM leg INDEXED BY {{index}} WHERE priority = ?1 AND {{name}} {{beyond}} ?3
            AND next_attempt IS NOT NULL ORDER BY {{name}} LIMIT 1)
        UNION ALL
        SELECT (SELECT {{name}} FROM leg INDEXED BY {{index}} WHERE priority = ?1 AND {{name}} > ring.name
            AND next_attempt IS NOT NULL ORDER BY {{name}} LIMIT 1) FROM ring WHERE ring.name IS NOT NULL
        LIMIT ?4)
    SELECT json_group_array(json_array(name, json((SELECT {_LEG} FROM leg INDEXED BY {{index}}
        WHERE {{name}} = ring.name AND {_DUE} {_OLDEST} 1)))) FROM ring WHERE name IS NOT NULL"""
#: Due legs of one name.
_OF_NAME: Final = f"""SELECT json_group_array(json(leg)) FROM (SELECT {_LEG} AS leg FROM leg INDEXED BY {{index}}
    WHERE {{name}} = ?3 AND {_DUE} {_OLDEST} ?4)"""
#: Due legs by time. Without the next hop, the index is enough.
_BY_TIME: Final = f"""SELECT json_group_array(json(leg)) FROM (
    SELECT json_array(-priority, next_attempt, letter, number, {{next_hop}}) AS leg FROM leg INDEXED BY leg_due
    WHERE {_DUE} {_OLDEST} ?3)"""
_COUNT: Final = f"SELECT count(*) FROM (SELECT 1 FROM leg INDEXED BY leg_due WHERE {_DUE} LIMIT ?3)"

_decode_due: Final = msgspec.json.Decoder(list[Due]).decode
_decode_names: Final = msgspec.json.Decoder(list[tuple[str, Due | None]]).decode


class Ask:
    """One claim's question. `unread`: what is left of LEGS_READ."""

    __slots__ = ("avoid", "connection", "now", "unread")

    def __init__(self, connection: apsw.Connection, now: float, avoid: Collection[str]) -> None:
        self.connection = connection
        self.now = now
        self.avoid = avoid
        self.unread = LEGS_READ


class Turns:
    """Where the rings stand: one object a process; nothing is lost with it.

    `has_more`: the last claim stopped at its bound, so that it may have missed what is due."""

    __slots__ = ("_flows", "_hops", "_odd", "has_more")

    def __init__(self) -> None:
        self._hops = _Ring("next_hop", "leg_hop", by_next_hop=True)
        self._flows = _Ring("flow", "leg_flow", by_next_hop=False)
        self._odd = 0
        self.has_more = False

    def due(self, connection: apsw.Connection, now: float, limit: int, avoid: Collection[str]) -> Iterator[list[Due]]:
        """Legs in parts, `limit` altogether at most; each part is to be claimed before the next one is asked for."""
        ask = Ask(connection, now, avoid)
        self._odd ^= 1  # so that claims of one leg are fair, too
        self.has_more = False
        everything = _all_due(ask, limit)
        if everything is not None:
            yield everything
            return
        left, levels = limit, list(priorities(connection))
        for number, priority in enumerate(levels, 1):
            if not left:
                return
            kept = _count_due(ask, levels[number:], left // LOWER_PART)
            for part in self._of_level(ask, priority, left - kept):
                left -= len(part)
                yield part

    def _of_level(self, ask: Ask, priority: int, limit: int) -> Iterator[list[Due]]:
        half = (limit + self._odd) // 2
        part = self._hops.oldest(ask, priority, half)
        self.has_more = self.has_more or self._hops.stopped
        yield part
        left = limit - len(part)
        if part or not half:  # else the flows have nothing either, or only what the next hops will come to
            part = self._flows.oldest(ask, priority, left)
            left -= len(part)
            yield part
        if left:
            yield _by_time(ask, priority, LOOKED_AT if ask.avoid else left)[1][:left]


class _Ring:
    """Goes round the names with which an index begins. `_at`: by priority, the last name that had its turn.
    `stopped`: before it was round, because it had looked at so many."""

    __slots__ = ("_at", "_by_next_hop", "_first", "_more", "_of_one", "stopped")

    def __init__(self, name: str, index: str, *, by_next_hop: bool) -> None:
        self._by_next_hop = by_next_hop
        self._first, self._more = (_NAMES.format(name=name, index=index, beyond=beyond) for beyond in (">=", ">"))
        self._of_one = _OF_NAME.format(name=name, index=index)
        self._at: dict[int, str] = {}
        self.stopped = False

    def oldest(self, ask: Ask, priority: int, limit: int) -> list[Due]:
        """The oldest legs of as many names as there are, in turn; about the same number of each."""
        self.stopped = False
        if not limit:
            return []
        found: list[Due] = []
        names: list[str] = []
        for looked, (name, first) in enumerate(self._round(ask, priority)):
            if looked == NAMES:
                self.stopped = True
                break
            self._at[priority] = name
            if first is None or (self._by_next_hop and name in ask.avoid):
                continue
            if legs := [first] if first[-1] not in ask.avoid else self._of_name(ask, priority, name, 1):
                found += legs
                names.append(name)
                if len(found) == limit:
                    return found
        for number, name in enumerate(names):  # too few to fill it with one of each
            share = -(-(limit - len(found)) // (len(names) - number))
            found += self._of_name(ask, priority, name, share + 1)[1:]
        return found

    def _round(self, ask: Ask, priority: int) -> Iterator[tuple[str, Due | None]]:
        """Each name once, from behind the last one that had its turn, with its oldest leg that is due."""
        begun = self._at.get(priority)
        if begun is not None:
            yield from self._names(ask, self._more, priority, begun)
        for name, first in self._names(ask, self._first, priority, ""):
            if begun is not None and name > begun:
                return
            yield name, first

    def _names(self, ask: Ask, statement: str, priority: int, after: str) -> Iterator[tuple[str, Due | None]]:
        while True:
            page = _decode_names(ask.connection.execute(statement, (priority, ask.now, after, PAGE)).get)
            yield from page
            if len(page) < PAGE:
                return
            statement, after = self._more, page[-1][0]

    def _of_name(self, ask: Ask, priority: int, name: str, limit: int) -> list[Due]:
        """The oldest that are not avoided. What is in the way is read past, as far as that is allowed."""
        found: list[Due] = []
        for readable in (limit, limit + ask.unread):
            read = _decode_due(ask.connection.execute(self._of_one, (priority, ask.now, name, readable)).get)
            found = [leg for leg in read if leg[-1] not in ask.avoid][:limit]
            if len(found) == limit or len(read) < readable:
                break
            ask.unread = max(ask.unread - len(read) + len(found), 0)
        return found


def _all_due(ask: Ask, limit: int) -> list[Due] | None:
    """All that is due and not avoided, in order; None if that is more than `limit`, or is not to be known cheaply."""
    found: list[Due] = []
    left = max(LOOKED_AT, limit + 1) if ask.avoid else limit + 1
    for priority in priorities(ask.connection):
        read, legs = _by_time(ask, priority, left)
        found += legs
        left -= read
        if not left or len(found) > limit:
            return None
    return found


def _by_time(ask: Ask, priority: int, limit: int) -> tuple[int, list[Due]]:
    """How many due legs were read, oldest first, `limit` at most; and those of them that are not avoided."""
    question = _BY_TIME.format(next_hop="next_hop" if ask.avoid else "''")
    read = _decode_due(ask.connection.execute(question, (priority, ask.now, limit)).get)
    return len(read), [leg for leg in read if leg[-1] not in ask.avoid]


def _count_due(ask: Ask, levels: Sequence[int], limit: int) -> int:
    """How many legs of these priorities are due, `limit` at most."""
    count = 0
    for priority in levels:
        if count < limit:
            count += ask.connection.execute(_COUNT, (priority, ask.now, limit - count)).get
    return count
