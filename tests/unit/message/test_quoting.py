"""Text made safe, and octets that may or may not stand in a MIME part."""

from __future__ import annotations

import pytest

from ekiden.message.quoting import ascii_line, fold, is_sendable, one_line, printable
from ekiden.message.words_english import ENGLISH


def test_one_line() -> None:
    assert one_line(" a\r\n\tb\0  c ", 80) == "a b c"
    assert one_line("abcdef", 3) == "abc"
    assert ascii_line("dé\nx", 80) == "d? x"
    assert printable("a \r\n b", 80) == "a  b"


def test_fold() -> None:
    assert fold("Name", "a b") == "Name: a b\r\n"
    folded = fold("Diagnostic-Code", "smtp; " + "word " * 40 + "w" * 300)
    assert " ".join(folded.split()) == "Diagnostic-Code: smtp; " + "word " * 40 + "w" * 300
    assert all(len(line) <= 78 or line.strip() == "w" * 300 for line in folded.split("\r\n"))
    assert all(line.startswith("    ") for line in folded.split("\r\n")[1:-1])


@pytest.mark.parametrize(
    ("octets", "sendable"),
    [
        (b"", True),
        (b"a\r\nb", True),
        (b"\xff\r\n", True),
        (b"a\nb", False),
        (b"a\rb", False),
        (b"a\n\rb", False),
        (b"a\0b", False),
        (b"x" * 998 + b"\r\n" + b"y" * 998, True),
        (b"x\r\n" + b"y" * 999, False),
    ],
)
def test_is_sendable(octets: bytes, sendable: bool) -> None:
    assert is_sendable(octets) is sendable


@pytest.mark.parametrize(
    ("status", "word"),
    [("5.1.1", "no mailbox"), ("4.2.2", "full"), ("5.1.99", "not accepted"), ("5.9.9", "no reason"), ("", "no reason")],
)
def test_advice(status: str, word: str) -> None:
    assert word in ENGLISH.advise(status).meaning
    assert ENGLISH.advise(status).cure.endswith(".")
