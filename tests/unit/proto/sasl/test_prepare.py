"""prepare: one form of a password, the same as SCRAM clients make."""

from __future__ import annotations

import pytest
import scramp.core

from ekiden.proto.sasl import prepare


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("plain ASCII, *unchanged*", "plain ASCII, *unchanged*"),
        ("e\u0301", "\u00e9"),  # composed, whatever the keyboard sends
        ("I\u00adX", "IX"),  # RFC 4013 §3: soft hyphen maps to nothing
        ("\u00aa", "a"),  # RFC 4013 §3: NFKC
        ("\u2168", "IX"),  # RFC 4013 §3
        ("a\u00a0b", "a b"),  # non-ASCII space
    ],
)
def test_prepare_is_saslprep(text, prepared):
    assert prepare(text) == prepared == scramp.core.saslprep(text)


def test_prepare_lets_emoji_pass():
    assert prepare("pässword 🐎") == "pässword 🐎"
