"""Identifiers: one spelling from the log line to the queue listing.

A letter id is a positive 63-bit integer that grows with time, so that it is a cheap primary key (rows are appended,
no random page is touched) and a listing by id is a listing by age:

    41 bits milliseconds since 2024-01-01T00:00Z | 10 bits worker incarnation | 12 bits sequence

People see it as 13 characters of Crockford's base 32 in lower case (no i, l, o, u): `01h8xk3p2qz7m`.
Session ids have the same form. Ids are not secrets.
"""

from __future__ import annotations

from typing import Final, NewType

LetterId = NewType("LetterId", int)
#: A worker process's life, numbered by the store; never used again (DESIGN §5: a claim names an incarnation).
Incarnation = NewType("Incarnation", int)

EPOCH_MS: Final = 1_704_067_200_000
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {c: n for n, c in enumerate(_ALPHABET)} | {"o": 0, "i": 1, "l": 1}
ID_LENGTH: Final = 13
#: Ten bits at a time: ids are rendered several times a letter.
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


def render_id(number: int) -> str:
    """13 characters; raises ValueError outside 0 … 2**63-1."""
    if not 0 <= number < 1 << 63:
        raise ValueError(f"an id is a number from 0 to 2**63-1, not {number}")
    pairs = _PAIRS
    return (
        f"{_ALPHABET[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
    )


def parse_id(text: str) -> int:
    """The number that `render_id` made `text` from; letter case and o/0, i/l/1 are forgiven. Raises ValueError."""
    text = text.strip().lower()
    if len(text) != ID_LENGTH:
        raise ValueError(f"an id has {ID_LENGTH} characters, this has {len(text)}: {text!r}")
    number = 0
    for character in text:
        if character not in _VALUES:
            raise ValueError(f"{character!r} is no character of an id: {text!r}")
        number = number << 5 | _VALUES[character]
    if number >= 1 << 63:
        raise ValueError(f"not an id: {text!r}")
    return number


def first_id(when: float) -> int:
    """No id made at `when` (seconds since 1970) or later is smaller, none made before is larger."""
    return max(int(when * 1000) - EPOCH_MS, 0) << 22


class IdSequence:
    """Makes ids for one incarnation; strictly growing within it, even when the clock jumps backwards."""

    __slots__ = ("_last", "_node")

    def __init__(self, incarnation: int) -> None:
        self._node = (incarnation & 0x3FF) << 12
        self._last = 0

    def next(self, now: float) -> int:
        """`now`: seconds since 1970. 4,096 ids a millisecond; beyond that the id borrows from the future."""
        tick = max(int(now * 1000) - EPOCH_MS, 0)
        last_tick = self._last >> 22
        if tick > last_tick or not self._last:
            number = tick << 22 | self._node
        elif self._last & 0xFFF < 0xFFF:
            number = self._last + 1
        else:
            number = last_tick + 1 << 22 | self._node
        self._last = number
        return number
