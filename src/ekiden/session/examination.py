"""Examination: one letter's content before the content rules of its door and login, while it is received.

Rules
1. Nothing is kept of the letter (`message.mime_walk`, `message.attachment` say what is); attachments are looked into
   only while a rule still asks for them.
2. A rule that marks has its field on top from the beginning, since the header section is written first; at the end
   the word in it is changed to another one of the same length.

Called by `session.reception`; `policy.content_rules` decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from ekiden.message.attachment import Item, reader_of
from ekiden.message.header import HeaderSection
from ekiden.message.mime_walk import Leaf, MimeWalk, Part
from ekiden.message.zip_walk import Budget
from ekiden.policy.content_rules import MARK_FIELD, CompiledRule, Inquiry, Result, Ruling, is_marking


class Examination:
    """`begin`, `feed`, `finish`, each in its turn."""

    __slots__ = ("_budget", "_inquiry", "_marking", "_rules", "_size", "_walk")

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._rules = rules
        self._marking = [rule.rule.name for rule in rules if is_marking(rule)]
        self._inquiry: Inquiry | None = None
        self._walk: MimeWalk | None = None
        self._budget = Budget()
        self._size = 0

    def marks(self, results: Sequence[Result] = ()) -> bytes:
        """The fields on top; without `results` those of a letter that no rule matches."""
        said = results or [Result.CLEARED] * len(self._marking)
        lines = zip(self._marking, said, strict=True)
        return "".join(f"{MARK_FIELD}: {name}; result={result.value}\r\n" for name, result in lines).encode("ascii")

    def begin(self, section: HeaderSection) -> None:
        self._size = section.end
        self._inquiry = Inquiry(self._rules, section)
        if self._inquiry.wants_attachments:
            self._walk = MimeWalk(self)
            self._walk.begin(section)

    def feed(self, body: bytes) -> None:
        self._size += len(body)
        if self._walk is not None:
            assert self._inquiry is not None
            self._walk.feed(body)
            if not self._inquiry.wants_attachments:
                self._walk = None

    def finish(self) -> Ruling:
        assert self._inquiry is not None
        if self._walk is not None:
            self._walk.finish()
        return self._inquiry.decide(self._size)

    # --- mime_walk.Sink, attachment.Taker ---------------------------------------------------------------------

    def leaf(self, part: Part) -> Leaf | None:
        return reader_of(part, self, self._budget)

    def item(self, item: Item) -> None:
        assert self._inquiry is not None
        self._inquiry.item(item)

    def blind(self, reason: str) -> None:
        assert self._inquiry is not None
        self._inquiry.blind(reason)
