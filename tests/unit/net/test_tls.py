"""What our doors' contexts take, which certificate a client gets, and what outbound contexts prove: handshakes in
memory."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ekiden.net.certificates import Pair, TlsFailed, load_certificate
from ekiden.net.tls import ClientTls, DoorContext, door_side
from ekiden.net.wire import TlsSide
from ekiden.ports.wire import TlsMode
from tests.fakes.clock import FakeClock
from tests.unit.net.test_certificates import make


class Ends(NamedTuple):
    client: ssl.SSLObject
    server: ssl.SSLObject

    @property
    def seen(self) -> bytes:
        """The certificate that the client got, under SHA-256."""
        octets = self.client.getpeercert(binary_form=True)
        assert octets is not None
        return hashlib.sha256(octets).digest()

    @property
    def bound(self) -> bytes:
        assert isinstance(self.server.context, DoorContext)
        return self.server.context.server_end_point


def anybody(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    return context


def shake(
    side: TlsSide, name: str | None = None, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> Ends:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or anybody()).wrap_bio(down, up, server_hostname=name, session=session)
    server = side.context.wrap_bio(up, down, server_side=True)
    waiting = [client, server]
    while waiting:
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(end)
    return Ends(client, server)


def test_only_good_suites(tmp_path: Path) -> None:
    context = door_side([load_certificate(*make(tmp_path, "mail.example.test"))]).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert all("GCM" in c["name"] or "CHACHA20" in c["name"] for c in context.get_ciphers())
    assert all(c["name"].startswith(("TLS_", "ECDHE-")) for c in context.get_ciphers())
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
        assert context.options & option
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_the_client_chooses_the_suite(tmp_path: Path) -> None:
    side = door_side([load_certificate(*make(tmp_path, "mail.example.test"))])
    for cipher in ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        context = anybody(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"{cipher}:ECDHE+AESGCM:ECDHE+CHACHA20")
        chosen = shake(side, context=context).client.cipher()
        assert chosen is not None
        assert chosen[0] == cipher


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_cannot_be_resumed(tmp_path: Path, version: ssl.TLSVersion) -> None:
    side = door_side([load_certificate(*make(tmp_path, "mail.example.test"))])
    context = anybody(version)
    first = shake(side, context=context)
    session = first.client.session
    assert session is None or not (session.id or session.has_ticket)
    assert not shake(side, context=context, session=session).client.session_reused


def test_groups_outside_mozillas_profile_are_refused(tmp_path: Path) -> None:
    side = door_side([load_certificate(*make(tmp_path, "mail.example.test"))])
    for group, taken in (("prime256v1", True), ("secp384r1", True), ("secp521r1", False)):
        context = anybody()
        context.set_ecdh_curve(group)
        if taken:
            assert shake(side, context=context).client.version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLError):
                shake(side, context=context)


def test_the_certificate_for_the_name_and_its_channel_binding(tmp_path: Path) -> None:
    """RFC 6066 §3, RFC 5929 §4: the binding is that of the certificate that was sent."""
    certificates = [
        load_certificate(*make(tmp_path, *names))
        for names in (("mail.example.test",), ("mail.example.org",), ("*.example.net",))
    ]
    side = door_side(certificates)
    wanted = {None: 0, "mail.example.test": 0, "mail.example.org": 1, "pop.example.net": 2, "elsewhere.test": 0}
    for name, place in wanted.items():
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            ends = shake(side, name, anybody(version))
            assert ends.seen == bytes.fromhex(certificates[place].fingerprint), name
            assert ends.bound == ends.seen


def test_what_openssl_refuses_has_a_sentence(tmp_path: Path) -> None:
    path, _ = make(tmp_path, "mail.example.test")
    certificate = load_certificate(path, _)
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    broken = certificate._replace(pair=Pair(certificate.pair.chain, other))
    with pytest.raises(TlsFailed, match=r"for mail\.example\.test cannot be used: [A-Z]"):
        door_side([broken])


def test_client_contexts() -> None:
    tls = ClientTls(FakeClock())
    proven = tls.side(TlsMode(verify=True, name="mx.example.test"))
    assert proven.verified
    assert proven.context.check_hostname
    assert proven.context.verify_mode is ssl.CERT_REQUIRED
    assert proven.server_name == "mx.example.test"
    loose = tls.side(TlsMode(name="mx.example.test"))
    assert not loose.verified
    assert loose.context.verify_mode is ssl.CERT_NONE
    assert tls.side(TlsMode()).context is loose.context
