"""Encoded words of a field's value as text (RFC 2047). Grade A.

Rules
1. Time is linear in the value: each search either moves on or is the last one.
2. Blanks between two encoded words are no part of the text (RFC 2047 §6.2); octets of neighbours with one charset are
   joined before they are decoded, for some programs cut within a character.
3. Words are taken wherever they stand, also within quotes and parameters, where RFC 2047 §5 has none: mail programs
   show them so. What is no encoded word stays as it is.

Called by `message.parameters` and `policy.content_rules`.
"""

from __future__ import annotations

import binascii
from typing import Final

from ekiden.message.charsets import as_written, decode

_LONGEST_CHARSET: Final = 64
BASE64_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OTHERS: Final = bytes(set(range(256)) - set(BASE64_ALPHABET))


def decode_words(value: bytes) -> str:
    """`value`: unfolded. Never raises."""
    if b"=?" not in value:
        return as_written(value)
    text: list[str] = []
    run: list[bytes] = []  # of encoded words side by side, all of `charset`
    charset = ""
    last = value.rfind(b"?=")
    position = 0
    while (start := value.find(b"=?", position)) != -1 and start < last:
        word = _word(value, start)
        between = value[position : start if word is not None else start + 2]
        named, octets, position = word if word is not None else ("", b"", start + 2)
        apart = word is None or not run or bool(between.strip(b" \t"))
        if run and (apart or named != charset):
            text.append(decode(b"".join(run), charset))
            run = []
        if apart:
            text.append(as_written(between))
        if word is not None:
            run.append(octets)
            charset = named
    text += decode(b"".join(run), charset), as_written(value[position:])
    return "".join(text)


def _word(value: bytes, start: int) -> tuple[str, bytes, int] | None:
    """Charset, octets and where the word that begins at `start` ends; None if there is none."""
    after = value.find(b"?", start + 2, start + 2 + _LONGEST_CHARSET)
    if after == -1 or value[after + 2 : after + 3] != b"?":
        return None
    end = value.find(b"?=", after + 3)
    encoding = value[after + 1 : after + 2]
    if end == -1 or encoding not in b"QqBb":
        return None
    charset = value[start + 2 : after].decode("latin-1").partition("*")[0].lower()  # RFC 2231 §5: a language behind *
    coded = value[after + 3 : end]
    return charset, (base64_octets(coded) if encoding in b"Bb" else _q_octets(coded)), end + 2


def base64_octets(coded: bytes) -> bytes:
    """Everything that can be read; what is outside the alphabet is passed over."""
    octets = []
    for run in coded.split(b"="):
        kept = run.translate(None, _OTHERS)
        kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
        octets.append(binascii.a2b_base64(kept + b"=" * (-len(kept) % 4)))
    return b"".join(octets)


def _q_octets(coded: bytes) -> bytes:
    return binascii.a2b_qp(coded, header=True)
