"""Patterns with `*` over text, in time linear in the text. Grade A.

Rules
1. `*` is any run of characters, also none; every other character is itself (`?` and `[` stand in subjects). The whole
   text must match; letter case does not matter.
2. A pattern is a few searches one behind the other, never a search within a search: nobody outside can make it slow.

Called by `policy.content_rules`.
"""

from __future__ import annotations

ANY = "*"


class Glob:
    """A pattern; `matches` takes text that was given to `fold` before."""

    __slots__ = ("_first", "_last", "_middle", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        first, *others = fold(text).split(ANY)
        self._first = first
        self._last: str | None = others.pop() if others else None  # None: no star at all
        self._middle = tuple(piece for piece in others if piece)

    def matches(self, folded: str) -> bool:
        last = self._last
        if last is None:
            return folded == self._first
        position, end = len(self._first), len(folded) - len(last)
        if position > end or not (folded.startswith(self._first) and folded.endswith(last)):
            return False
        for piece in self._middle:
            found = folded.find(piece, position, end)
            if found == -1:
                return False
            position = found + len(piece)
        return True


def fold(text: str) -> str:
    """Without the difference between capital and small letters."""
    return text.casefold()
