"""DANE on certificate chains (RFC 7672 §3.1): what proves a host, and what does not."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ekiden.model.tlsa import Tlsa
from ekiden.net.dane import fits

NAME = "mx.far.test"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Issuer:
    """An authority, or a server that signs itself."""

    def __init__(self, called: str, above: Issuer | None = None, *, leaf: bool = False, over: bool = False) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
        signer = above or self
        end = NOW - DAY if over else NOW + DAY
        made = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 3 * DAY)
            .not_valid_after(end)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        if leaf:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(called)]), critical=False)
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        else:
            made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            made = made.add_extension(_CA_USAGE, critical=True)
        self.certificate = made.sign(signer.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
ROOT = Issuer("root")
MIDDLE = Issuer("middle", ROOT)
LEAF = Issuer(NAME, MIDDLE, leaf=True)
CHAIN = [LEAF.der, MIDDLE.der, ROOT.der]


def record(usage: int, issuer: Issuer, *, selector: int = 1, matching: int = 1) -> Tlsa:
    octets = issuer.spki if selector else issuer.der
    return Tlsa(usage, selector, matching, hashlib.sha256(octets).digest() if matching else octets)


def test_the_leaf_fits_and_nothing_else_counts() -> None:
    alone = Issuer("another.name", leaf=True, over=True)  # signs itself, has another name, has run out
    assert fits([alone.der], [record(3, alone)], NAME)
    assert fits([alone.der], [record(3, alone, selector=0)], NAME)
    assert not fits([alone.der], [record(3, LEAF)], NAME)


def test_one_of_several_records_is_enough_as_in_a_rollover() -> None:
    assert fits(CHAIN, [record(3, Issuer("old", leaf=True)), record(3, LEAF)], NAME)


def test_a_leaf_record_is_not_met_by_an_authority_of_the_chain() -> None:
    assert not fits(CHAIN, [record(3, MIDDLE)], NAME)


@pytest.mark.parametrize("anchor", [ROOT, MIDDLE])
@pytest.mark.parametrize("selector", [0, 1])
def test_an_anchor_of_the_chain_proves_the_leaf(anchor: Issuer, selector: int) -> None:
    assert fits(CHAIN, [record(2, anchor, selector=selector)], NAME)


def test_an_anchor_proves_no_other_name() -> None:
    assert not fits(CHAIN, [record(2, ROOT)], "mx.other.test")


def test_an_anchor_proves_no_leaf_that_has_run_out() -> None:
    over = Issuer(NAME, MIDDLE, leaf=True, over=True)
    assert not fits([over.der, MIDDLE.der, ROOT.der], [record(2, ROOT)], NAME)


def test_an_anchor_that_is_not_sent_proves_only_if_the_record_has_it_whole() -> None:
    chain = [LEAF.der, MIDDLE.der]
    assert not fits(chain, [record(2, ROOT)], NAME)
    assert fits(chain, [record(2, ROOT, selector=0, matching=0)], NAME)


def test_somebody_elses_anchor_beside_a_foreign_leaf_proves_nothing() -> None:
    """Whoever sends a foreign chain may append the right anchor: it must have signed the leaf."""
    foreign = Issuer(NAME, Issuer("foreign"), leaf=True)
    assert not fits([foreign.der, ROOT.der], [record(2, ROOT)], NAME)


def test_who_is_no_authority_cannot_sign_for_others() -> None:
    """Each customer of the anchor could else stand in for every other."""
    customer = Issuer("customer.test", ROOT, leaf=True)
    assert not fits([Issuer(NAME, customer, leaf=True).der, customer.der, ROOT.der], [record(2, ROOT)], NAME)


def test_nothing_sent_proves_nothing() -> None:
    assert not fits([], [record(3, LEAF)], NAME)
