"""TLSA records: what a mail host's certificate must be, as its DNS says (RFC 6698, RFC 7672). Pure.

Rules
1. For SMTP only DANE-TA(2) and DANE-EE(3) count (RFC 7672 §3.1.3): the certificate authorities of the Web, which 0 and
   1 ask for besides, have no standing between mail servers.
2. A record with a selector, a matching type or a digest length that nobody knows is unusable, and no fault of the rest
   (RFC 7672 §2.2). Records that are all unusable still ask for TLS, without proof.

Looked up by delivery/, compared in `net.dane`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

TRUST_ANCHOR: Final = 2
END_ENTITY: Final = 3
FULL_CERTIFICATE: Final = 0
PUBLIC_KEY: Final = 1
#: Matching types: octets themselves, SHA-256, SHA-512; with the length of their data, 0: any but none.
_LENGTHS: Final = {0: 0, 1: 32, 2: 64}


class Tlsa(NamedTuple):
    """`usage`, `selector`, `matching`: RFC 6698 §2.1; `data`: the octets, or their digest."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        known = self.usage in (TRUST_ANCHOR, END_ENTITY) and self.selector in (FULL_CERTIFICATE, PUBLIC_KEY)
        length = _LENGTHS.get(self.matching)
        return known and length is not None and bool(self.data) and (not length or len(self.data) == length)

    def fits(self, certificate: bytes, public_key: bytes) -> bool:
        """`certificate`, `public_key` (SubjectPublicKeyInfo): in DER."""
        octets = certificate if self.selector == FULL_CERTIFICATE else public_key
        if self.matching == 0:
            return self.data == octets
        return self.data == hashlib.new("sha256" if self.matching == 1 else "sha512", octets).digest()


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    return tuple(record for record in records if record.is_usable)
