"""What a report's text is made of in one language. Grade A: plain data; the languages are `words_english` and
`words_japanese`, and a test wants the same keys and places in both.

Advice is looked up by an enhanced status code (RFC 3463 and its registry): by `subject.detail`, then by subject, then
the fallback (''). The class (4 or 5) is left out: whether it is final is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Advice(NamedTuple):
    """The meaning of a code, and the cure as seen by the sender of a letter: a sentence each."""

    meaning: str
    cure: str


class Wording(NamedTuple):
    """`subjects`, `openings`: by kind of report. `phrases`: the sentences in between, by name, with places in braces.
    `width`: columns of a line, in characters of this language. `advice`: by code, see above."""

    language: str
    subjects: Mapping[str, str]
    openings: Mapping[str, str]
    phrases: Mapping[str, str]
    advice: Mapping[str, Advice]
    width: int

    def advise(self, status: str) -> Advice:
        """`status`: such as `5.1.1`; anything else gives the fallback."""
        _, _, rest = status.partition(".")
        return self.advice.get(rest) or self.advice.get(rest.partition(".")[0]) or self.advice[""]
