"""Certificates of our doors: read, checked whole, and compared with what they should be for.

Rules
1. A pair (certificate with chain, private key) is read into memory once, checked, and used from there: a renewal that
   writes the files one after the other is never half of each. Everything that can be wrong has its own sentence.
2. An encrypted key is refused: nobody is there to type its passphrase.
3. The names come from the certificate (subjectAltName; RFC 6125 §6.4): an exact name goes before a wildcard, the first
   certificate before the later ones.

`app.certificates` reads and watches; `net.tls` makes the doors' contexts; `app.config_check` judges.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtensionOID

#: A PEM file of a certificate and its chain; more is the wrong file.
_LARGEST_PEM: Final = 1024 * 1024


class TlsFailed(Exception):
    """`key`: `certificate` or `private_key`, whichever a person would change; `str()`: one sentence."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """The octets of both files. The representation shows no key."""

    chain: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return f"Pair({len(self.chain)} octets)"


class Certificate(NamedTuple):
    """`not_before`, `not_after`: seconds since 1970. `names`: DNS names it is for. `server_end_point`: channel binding
    (RFC 5929 §4). `fingerprint`: SHA-256 of the certificate, hexadecimal."""

    pair: Pair
    not_before: float
    not_after: float
    names: tuple[str, ...]
    server_end_point: bytes
    fingerprint: str

    def covers(self, hostname: str) -> bool:
        """RFC 6125 §6.4: exact, or a wildcard for one label."""
        return any(name.lower() in _patterns(hostname) for name in self.names)

    @property
    def title(self) -> str:
        """Which one, for people: its first name."""
        return self.names[0] if self.names else self.fingerprint[:16]


class ByName:
    """Which certificate for which name (rule 3)."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._places: dict[str, int] = {}
        for place, certificate in enumerate(certificates):
            for name in certificate.names:
                self._places.setdefault(name.lower(), place)

    def find(self, name: str) -> int:
        """The place in the list; 0, the first, for a name that none is for."""
        for pattern in _patterns(name):
            if (place := self._places.get(pattern)) is not None:
                return place
        return 0


def _patterns(hostname: str) -> tuple[str, str]:
    hostname = hostname.lower().removesuffix(".")
    return hostname, f"*.{hostname.partition('.')[2]}"


def load_certificate(certificate_path: str, key_path: str) -> Certificate:
    """Reads and checks both files. Raises TlsFailed."""
    pair = Pair(_read("certificate", certificate_path), _read("private_key", key_path))
    return parse_certificate(pair, certificate_path, key_path)


def parse_certificate(pair: Pair, certificate_path: str = "", key_path: str = "") -> Certificate:
    """The paths are for the sentences. Raises TlsFailed."""
    leaf = _parse_chain(pair.chain, certificate_path)
    _check_key(leaf, pair.private_key, certificate_path, key_path)
    return Certificate(
        pair,
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        _names(leaf),
        server_end_point(leaf),
        leaf.fingerprint(hashes.SHA256()).hex(),
    )


def server_end_point(leaf: x509.Certificate) -> bytes:
    """RFC 5929 §4.1: the DER certificate under its signature's hash, SHA-256 for MD5 and SHA-1. b'' where that is
    undefined (a signature without a hash of its own, such as Ed25519)."""
    try:
        algorithm = leaf.signature_hash_algorithm
    except Exception:  # an algorithm that the library does not know
        algorithm = None
    if algorithm is None:
        return b""
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(leaf.public_bytes(serialization.Encoding.DER))
    return digest.finalize()


def render_day(seconds: float) -> str:
    """`2026-11-22`, for messages."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()


def _parse_chain(octets: bytes, path: str) -> x509.Certificate:
    if b"-----BEGIN CERTIFICATE-----" not in octets:
        raise TlsFailed("certificate", f"{path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    try:
        return x509.load_pem_x509_certificates(octets)[0]
    except ValueError as error:
        raise TlsFailed("certificate", f"{path} is damaged: {error}") from None


def _check_key(leaf: x509.Certificate, octets: bytes, certificate_path: str, key_path: str) -> None:
    if b"PRIVATE KEY-----" not in octets:
        raise TlsFailed("private_key", f"{key_path} holds no PEM private key (-----BEGIN PRIVATE KEY-----)")
    try:
        key = serialization.load_pem_private_key(octets, password=None)
    except TypeError:
        raise TlsFailed(
            "private_key",
            f"{key_path} is encrypted, and nobody is there to type its passphrase; store it without one: "
            f"openssl pkey -in {key_path} -out NEW",
        ) from None
    except ValueError as error:
        raise TlsFailed("private_key", f"{key_path} is damaged: {error}") from None
    if _public_octets(key.public_key()) != _public_octets(leaf.public_key()):
        raise TlsFailed("private_key", f"{key_path} is not the key of the certificate in {certificate_path}")


def _public_octets(key: object) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, spki))  # type: ignore[attr-defined]


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_PEM)
    except OSError as error:
        raise TlsFailed(key, f"{path} cannot be read: {error.strerror}") from None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    value = extension.value
    assert isinstance(value, x509.SubjectAlternativeName)
    return tuple(value.get_values_for_type(x509.DNSName))
