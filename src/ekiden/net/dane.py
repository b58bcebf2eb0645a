"""DANE: is the certificate that a mail host showed the one that its DNS speaks of? (RFC 7672 §3)

Rules
1. DANE-EE(3): the leaf fits the record, and that is all: neither its name nor its dates count (RFC 7672 §3.1.1).
2. DANE-TA(2): a certificate of the chain fits; from it the leaf is proven, for the host's name and today (§3.1.2). An
   anchor that stands whole in the record need not be in the chain.
3. Python's TLS has no DANE, so the handshake proves nothing by itself; this is asked before a word is said on the
   connection, and a session without proof carries nothing (`proto.smtp.client_handshake`).

Called by `net.wire` through `TlsSide.prove`.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from ekiden.model.tlsa import END_ENTITY, FULL_CERTIFICATE, TRUST_ANCHOR, Tlsa

#: What the trail calls it.
DANE: Final = "DANE"
#: Certificates of a chain that are looked at; more is no chain of a mail host.
LONGEST_CHAIN: Final = 10

#: An authority must say that it is one, and a leaf whose it is. The Web's further rules are not asked for: an authority
#: of somebody's own seldom keeps all of them.
_AUTHORITIES: Final = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_LEAVES: Final = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def proves(secret: ssl.SSLObject, records: Sequence[Tlsa], name: str) -> bool:
    """`secret`: after its handshake. Never raises for what the other side sent."""
    try:
        return fits(_chain(secret), records, name)
    except (ValueError, UnsupportedAlgorithm, ssl.SSLError):
        return False


def fits(chain: Sequence[bytes], records: Sequence[Tlsa], name: str) -> bool:
    """`chain`: DER, the leaf first. Raises ValueError, UnsupportedAlgorithm for what is no certificate."""
    if not chain:
        return False
    leaf = chain[0]
    if any(record.fits(leaf, _public_key(leaf)) for record in records if record.usage == END_ENTITY):
        return True
    anchors = [record for record in records if record.usage == TRUST_ANCHOR]
    return bool(anchors) and _is_anchored(chain, anchors, name)


def _is_anchored(chain: Sequence[bytes], records: Sequence[Tlsa], name: str) -> bool:
    found = [
        x509.load_der_x509_certificate(der)
        for der in chain[1:]
        if any(record.fits(der, _public_key(der)) for record in records)
    ]
    found += [
        x509.load_der_x509_certificate(record.data)
        for record in records
        if record.matching == 0 and record.selector == FULL_CERTIFICATE
    ]
    if not found:
        return False
    leaf, *rest = (x509.load_der_x509_certificate(der) for der in chain)
    policy = PolicyBuilder().store(Store(found)).extension_policies(ca_policy=_AUTHORITIES, ee_policy=_LEAVES)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(leaf, rest)
    except VerificationError:
        return False
    return True


def _public_key(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _chain(secret: ssl.SSLObject) -> list[bytes]:
    """All that the server sent. Python has a public name for it since 3.13; the function is there since 3.10."""
    if hasattr(secret, "get_unverified_chain"):
        return list(secret.get_unverified_chain())[:LONGEST_CHAIN]
    inner = getattr(secret, "_sslobj", None)
    given = inner.get_unverified_chain() if inner is not None else None
    return [certificate.public_bytes(ssl._ssl.ENCODING_DER) for certificate in given or ()][:LONGEST_CHAIN]  # type: ignore[attr-defined]
