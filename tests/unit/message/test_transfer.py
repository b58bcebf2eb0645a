"""Transfer encodings, in any pieces."""

from __future__ import annotations

import base64
import quopri

import pytest

from ekiden.message.transfer import decoder_of

DATA = bytes(range(256)) * 5


def decoded(encoding: str, coded: bytes, piece: int) -> bytes:
    decoder = decoder_of(encoding)
    parts = [decoder.feed(coded[start : start + piece]) for start in range(0, len(coded), piece)]
    return b"".join(parts) + decoder.finish()


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 76, 10_000])
def test_decoders(piece: int) -> None:
    coded = base64.encodebytes(DATA).replace(b"\n", b"\r\n")
    assert decoded("base64", coded, piece) == DATA
    assert decoded("quoted-printable", quopri.encodestring(DATA), piece) == DATA
    assert decoded("x-unknown", DATA, piece) == DATA


@pytest.mark.parametrize("piece", [1, 4, 100])
def test_base64_reads_on_where_some_readers_do(piece: int) -> None:
    assert decoded("base64", b"TV*o!=\r\nTVo=", piece)[:2] == b"MZ"
    assert decoded("base64", b"AA==TVo=", piece)[1:] == b"MZ"
    assert decoded("base64", b"TVqQA", piece) == b"MZ\x90"


@pytest.mark.parametrize("piece", [1, 700, 100_000])
def test_a_line_without_an_end_is_not_kept(piece: int) -> None:
    decoder = decoder_of("quoted-printable")
    coded = b"=41" * 30_000
    parts = [decoder.feed(coded[start : start + piece]) for start in range(0, len(coded), piece)]
    assert b"".join(parts) + decoder.finish() == b"A" * 30_000
    assert len(b"".join(parts)) > 29_000
