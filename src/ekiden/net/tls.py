"""TLS contexts: the doors' own certificates, and how outbound connections are protected.

Rules
1. TLS 1.2 and 1.3; on our doors forward secrecy and AEAD only; no compression, no renegotiation (RFC 9325). No
   sessions to resume, neither tickets nor ids: workers do not share them, and they weaken forward secrecy.
2. Among suites that are all good the client chooses: it knows whether its machine is faster with AES or ChaCha20
   (Mozilla's intermediate profile, too).
3. A client that names a host (SNI, RFC 6066 §3) gets the certificate for it; who names none, or one that none is for,
   gets the first. The connection's context says which one it was, for the channel binding.
4. New certificates are a new `TlsSide`: connections that began with the old one keep it (hot reload).
5. Opportunistic TLS proves nothing and is still better than none (RFC 7435); `verify` proves the name (RFC 6125) with
   the system's authorities, or those in `$SSL_CERT_FILE` (labs).

`app.compose` calls `door_side`; `net.connector` uses `ClientTls`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Final, TypeVar

from ekiden.net import dane
from ekiden.net.certificates import ByName, Certificate, TlsFailed
from ekiden.net.openssl import make_narrowed
from ekiden.net.tls_sessions import ResumingContext, TlsSessions
from ekiden.net.wire import TlsSide
from ekiden.ports.clock import Clock
from ekiden.ports.wire import TlsMode

#: What our doors take. Outbound we leave Python's wider list: an old cipher is still better than the plain text that a
#: failed opportunistic handshake leads to. In the order of Mozilla's intermediate profile.
_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)

Context = TypeVar("Context", bound=ssl.SSLContext)


class DoorContext(ssl.SSLContext):
    """Of one certificate. `server_end_point`: its channel binding (RFC 5929 §4), read by `net.wire` from the context
    that a connection ended up with."""

    server_end_point: bytes = b""


def door_side(certificates: Sequence[Certificate]) -> TlsSide:
    """For the wires of our doors; the first is for clients that name nothing we know. Raises TlsFailed."""
    contexts = [_server_context(certificate) for certificate in certificates]
    if len(contexts) > 1:
        names = ByName(certificates)

        def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            if name:
                connection.context = contexts[names.find(name)]

        contexts[0].sni_callback = choose
    return TlsSide(contexts[0], server_side=True)


#: How the trail calls a name proven by the authorities of the Web (RFC 6125).
CERTIFICATE: Final = "certificate"


class ClientTls:
    """Contexts of outbound connections, made once: loading the system's authorities costs milliseconds. Under DANE no
    session is resumed: each handshake shows the chain anew, to be compared with the records of today."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opportunistic: ResumingContext | None = None
        self._verifying: ResumingContext | None = None
        self._dane: ssl.SSLContext | None = None

    def side(self, mode: TlsMode) -> TlsSide:
        if mode.tlsa:
            self._dane = self._dane or _loose(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            prove = partial(dane.proves, records=mode.tlsa, name=mode.name)
            return TlsSide(self._dane, server_side=False, server_name=mode.name, proof=dane.DANE, prove=prove)
        if mode.verify:
            self._verifying = self._verifying or _client_context(self._clock, verify=True)
            return TlsSide(self._verifying, server_side=False, server_name=mode.name, verified=True, proof=CERTIFICATE)
        self._opportunistic = self._opportunistic or _client_context(self._clock, verify=False)
        return TlsSide(self._opportunistic, server_side=False, server_name=mode.name)

    def resumes(self, mode: TlsMode) -> bool:
        """A handshake would go on from an earlier session."""
        context = None if mode.tlsa else self._verifying if mode.verify else self._opportunistic
        return context is not None and context.sessions.find(mode.name) is not None

    @staticmethod
    def forget_session(side: TlsSide) -> None:
        if isinstance(side.context, ResumingContext):
            side.context.sessions.forget(side.server_name)


def _server_context(certificate: Certificate) -> DoorContext:
    context, _ = make_narrowed(lambda: DoorContext(ssl.PROTOCOL_TLS_SERVER))
    context.server_end_point = certificate.server_end_point
    _harden(context)
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_TICKET
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Python loads from files only; a file in memory is one that nobody changes between our check and this."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(certificate.pair.private_key + b"\n" + certificate.pair.chain)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_passphrase)
    except (ssl.SSLError, OSError) as error:
        raise TlsFailed(
            "certificate", f"the certificate for {certificate.title} cannot be used: {_reason(error)}"
        ) from None
    finally:
        os.close(descriptor)


def _client_context(clock: Clock, *, verify: bool) -> ResumingContext:
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = TlsSessions(clock)
    if not verify:
        return _loose(context)
    _harden(context)
    context.load_default_certs()
    context.verify_flags = ssl.create_default_context().verify_flags  # stricter with each Python
    return context


def _loose(context: Context) -> Context:
    """The handshake proves nothing."""
    _harden(context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _no_passphrase() -> str:
    raise ssl.SSLError("the key is encrypted")


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
