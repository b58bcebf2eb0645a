"""TLS contexts: the doors' own certificate, and how outbound connections are protected.

Rules
1. TLS 1.2 and 1.3; on our doors forward secrecy and AEAD only; no compression, no renegotiation (RFC 9325). No
   session tickets: workers do not share their keys, so a ticket would mostly buy a failed resumption, and it weakens
   forward secrecy.
2. A certificate is loaded whole or not at all, and everything that can be wrong with it has its own sentence. A new
   one is a new `Certificate`: connections that began with the old one keep it (hot reload).
3. Opportunistic TLS proves nothing and is still better than none (RFC 7435); `verify` proves the name (RFC 6125) with
   the system's authorities, or those in `$SSL_CERT_FILE` (labs).
4. An encrypted key is refused: nobody is there to type its passphrase.

`app.compose` calls `load_certificate`; `net.connector` uses `ClientTls`.
"""

from __future__ import annotations

import datetime
import ssl
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtensionOID

from ekiden.net.tls_sessions import ResumingContext, TlsSessions
from ekiden.net.wire import TlsSide
from ekiden.ports.clock import Clock
from ekiden.ports.wire import TlsMode

#: What our doors take. Outbound we leave Python's wider list: an old cipher is still better than the plain text that a
#: failed opportunistic handshake leads to.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
#: A PEM file of a certificate and its chain; more is the wrong file.
_LARGEST_PEM: Final = 1024 * 1024


class TlsFailed(Exception):
    """`key`: `certificate` or `private_key`, whichever a person would change; `str()`: one sentence."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Certificate(NamedTuple):
    """`side`: for the wires of a door. `not_before`, `not_after`: seconds since 1970. `names`: DNS names it is for."""

    side: TlsSide
    not_before: float
    not_after: float
    names: tuple[str, ...]

    def covers(self, hostname: str) -> bool:
        """RFC 6125 §6.4: exact, or a wildcard for one label."""
        hostname = hostname.lower()
        parent = hostname.partition(".")[2]
        return any(name.lower() in (hostname, f"*.{parent}") for name in self.names)


def load_certificate(certificate_path: str, key_path: str) -> Certificate:
    """Reads and checks both files. Raises TlsFailed."""
    leaf = _read_certificate(certificate_path)
    _check_key(leaf, certificate_path, key_path)
    context = _server_context()
    try:
        context.load_cert_chain(certificate_path, key_path, password=_no_passphrase)
    except (ssl.SSLError, OSError) as error:
        raise TlsFailed("certificate", f"{certificate_path} cannot be used: {_reason(error)}") from None
    side = TlsSide(context, server_side=True, server_end_point=server_end_point(leaf))
    return Certificate(side, leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp(), _names(leaf))


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


class ClientTls:
    """Contexts of outbound connections, made once: loading the system's authorities costs milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opportunistic: ResumingContext | None = None
        self._verifying: ResumingContext | None = None

    def side(self, mode: TlsMode) -> TlsSide:
        if mode.verify:
            self._verifying = self._verifying or _client_context(self._clock, verify=True)
            return TlsSide(self._verifying, server_side=False, server_name=mode.name, verified=True)
        self._opportunistic = self._opportunistic or _client_context(self._clock, verify=False)
        return TlsSide(self._opportunistic, server_side=False, server_name=mode.name)

    def resumes(self, mode: TlsMode) -> bool:
        """A handshake would go on from an earlier session."""
        context = self._verifying if mode.verify else self._opportunistic
        return context is not None and context.sessions.find(mode.name) is not None

    @staticmethod
    def forget_session(side: TlsSide) -> None:
        if isinstance(side.context, ResumingContext):
            side.context.sessions.forget(side.server_name)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    return context


def _client_context(clock: Clock, *, verify: bool) -> ResumingContext:
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = TlsSessions(clock)
    _harden(context)
    if verify:
        context.load_default_certs()
        context.verify_flags = ssl.create_default_context().verify_flags  # stricter with each Python
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _read_certificate(path: str) -> x509.Certificate:
    octets = _read("certificate", path)
    if b"-----BEGIN CERTIFICATE-----" not in octets:
        raise TlsFailed("certificate", f"{path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    try:
        return x509.load_pem_x509_certificates(octets)[0]
    except ValueError as error:
        raise TlsFailed("certificate", f"{path} is damaged: {error}") from None


def _check_key(leaf: x509.Certificate, certificate_path: str, key_path: str) -> None:
    octets = _read("private_key", key_path)
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


def _no_passphrase() -> str:
    raise ssl.SSLError("the key is encrypted")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    value = extension.value
    assert isinstance(value, x509.SubjectAlternativeName)
    return tuple(value.get_values_for_type(x509.DNSName))


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)


def render_day(seconds: float) -> str:
    """`2026-11-22`, for messages."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
