"""TLSA records: which ones count, and what fits them (RFC 6698 §2.1, RFC 7672 §3.1)."""

from __future__ import annotations

import hashlib

import pytest

from ekiden.model.tlsa import Tlsa, usable

CERTIFICATE, KEY = b"certificate", b"public key"
SHA256 = hashlib.sha256(KEY).digest()


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (Tlsa(3, 1, 1, SHA256), True),
        (Tlsa(2, 0, 1, SHA256), True),
        (Tlsa(3, 0, 0, b"x"), True),
        (Tlsa(3, 1, 2, hashlib.sha512(KEY).digest()), True),
        (Tlsa(0, 1, 1, SHA256), False),  # PKIX-TA and PKIX-EE are not for SMTP
        (Tlsa(1, 1, 1, SHA256), False),
        (Tlsa(3, 2, 1, SHA256), False),
        (Tlsa(3, 1, 3, SHA256), False),
        (Tlsa(3, 1, 1, SHA256[:31]), False),
        (Tlsa(3, 1, 2, SHA256), False),
        (Tlsa(3, 0, 0, b""), False),
    ],
)
def test_which_records_count(record: Tlsa, counts: bool) -> None:
    assert record.is_usable is counts
    assert usable([record]) == ((record,) if counts else ())


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_what_fits(selector: int, matching: int) -> None:
    octets = CERTIFICATE if selector == 0 else KEY
    data = [octets, hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest()][matching]
    record = Tlsa(3, selector, matching, data)
    assert record.fits(CERTIFICATE, KEY)
    assert not record.fits(b"other", b"other")
    assert not record.fits(KEY, CERTIFICATE)
