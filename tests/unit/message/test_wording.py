"""The languages of reports say the same, and a letter's language is found where it tells it."""

from __future__ import annotations

import re

import pytest

from ekiden.message.header import HeaderSection
from ekiden.message.language import WORDINGS, wording_for
from ekiden.message.report import ReportKind
from ekiden.message.wording import Wording
from ekiden.message.words_english import ENGLISH
from ekiden.message.words_japanese import JAPANESE


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


@pytest.mark.parametrize("words", WORDINGS.values(), ids=WORDINGS)
def test_each_language_says_everything(words: Wording) -> None:
    kinds = {kind.value for kind in ReportKind} - {"expanded"}
    assert set(words.subjects) == set(words.openings) == kinds
    assert set(words.advice) == set(ENGLISH.advice)
    assert set(words.phrases) == set(ENGLISH.phrases)
    for name, phrase in words.phrases.items():
        assert places(phrase) == places(ENGLISH.phrases[name]), name
    for name, opening in words.openings.items():
        assert places(opening) == places(ENGLISH.openings[name]), name
    for code, advice in words.advice.items():
        assert advice.meaning, code
        assert advice.cure, code


@pytest.mark.parametrize(
    ("status", "same_as"),
    [("5.1.1", "1.1"), ("4.2.2", "2.2"), ("5.1.99", "1"), ("5.7.27", "7"), ("5.9.9", ""), ("", ""), ("5", "")],
)
def test_advice_by_code_then_by_subject_then_any(status: str, same_as: str) -> None:
    for words in WORDINGS.values():
        assert words.advise(status) == words.advice[same_as]


@pytest.mark.parametrize(
    ("header", "subject", "language"),
    [
        (b"Content-Language: ja\r\n", "", "ja"),
        (b"Content-Language: ja-JP\r\n", "hello", "ja"),
        (b"Accept-Language: ja, en-US;q=0.5\r\n", "", "ja"),
        (b"Accept-Language: fr, en\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n", "", "en"),
        (b"Content-Type: text/plain; charset=ISO-2022-JP\r\n", "", "ja"),
        (b"Subject: =?Shift_JIS?B?gqA=?=\r\n", "", "ja"),
        (b"", "会議のお知らせ", "ja"),
        (b"", "会議", "en"),  # could be Chinese
        (b"", "hello", "en"),
        (b"Content-Language: xx, \xff;;\r\n", "", "en"),
    ],
)
def test_the_language_of_a_letter(header: bytes, subject: str, language: str) -> None:
    assert wording_for(HeaderSection(header + b"\r\n"), subject).language == language


def test_japanese_is_japanese() -> None:
    """Nothing of the English text was left in it."""
    for text in (*JAPANESE.subjects.values(), *JAPANESE.openings.values(), *JAPANESE.phrases.values()):
        assert not re.search(r"[A-Za-z]{3,}", re.sub(r"\{\w+\}", "", text)), text
