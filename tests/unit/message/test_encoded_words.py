"""Encoded words, as readers show them."""

from __future__ import annotations

import pytest

from ekiden.message.encoded_words import decode_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?caf=C3=A9_au_lait?=", "café au lait"),
        (b"=?utf-8?B?Y2Fmw6k=?= x", "café x"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),  # cut within a character
        (b"=?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?=", "éé"),
        (b"x =?iso-8859-1*fr?q?=E9?=", "x é"),
        (b"=?punycode?q?abc-123?=", "abc-123"),
        (b"=?no-such?q?=E9?=", "é"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?utf-8?q?abc", "=?utf-8?q?abc"),
        (b"a =? b =?utf-8?q?c?=", "a =? b c"),
        (b"caf\xc3\xa9 \xe9"[:5], "café"),
        (b"\xe9", "é"),
    ],
)
def test_decode_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize(
    "value", [b"=?" * 130_000, b"=?x" * 87_000 + b"?=", b"=?a?q?" * 40_000, b"=?a?b?QQ?=" * 26_000]
)
def test_no_value_takes_long(value: bytes) -> None:
    """Each of these took minutes with a search within a search."""
    assert decode_words(value)
