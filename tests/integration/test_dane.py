"""DANE with a real validating resolver (Unbound) before a signed zone (NSD): no letter crosses where the TLSA records
forbid it, none is lost, and the trail says by what the host was proven."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.server import LabServer
from tests.integration import secure_dns
from tests.integration.hostile_peer import HostilePeer, serving
from tests.integration.street import Street

pytestmark = pytest.mark.peer("unbound")


class Certificate(NamedTuple):
    context: ssl.SSLContext
    leaf: bytes
    authority: bytes


def certificate(name: str) -> Certificate:
    """By an authority that nobody knows."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with issued.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return Certificate(context, issued.cert_chain_pems[0].bytes(), authority.cert_pem.bytes())


def with_chain(folder: Path, name: str) -> Certificate:
    """One that sends its authority along, as DANE-TA needs it."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    pem = folder / f"{name}.pem"
    pem.write_bytes(issued.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return Certificate(context, issued.cert_chain_pems[0].bytes(), authority.cert_pem.bytes())


def key_digest(pem: bytes) -> str:
    key = x509.load_pem_x509_certificate(pem).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


NOBODY = "ab" * 32


class Host(NamedTuple):
    """`tlsa`: data of its records. `shows`: the certificate."""

    name: str
    tlsa: Sequence[str]
    shows: Certificate
    extensions: Sequence[str] = ("STARTTLS",)
    zone: str = "test"


def make_hosts(folder: Path) -> list[Host]:
    anonymous = certificate("another.name")
    chained = with_chain(folder, "anchored.test")
    mine = key_digest(anonymous.leaf)
    return [
        Host("right", [f"3 1 1 {mine}"], anonymous),
        Host("rollover", [f"3 1 1 {NOBODY}", f"3 1 1 {mine}"], anonymous),
        Host("anchored", [f"2 1 1 {key_digest(chained.authority)}"], chained),
        Host("misnamed", [f"2 1 1 {key_digest(chained.authority)}"], chained),
        Host("wrong", [f"3 1 1 {NOBODY}"], anonymous),
        Host("stripped", [f"3 1 1 {mine}"], anonymous, extensions=()),
        Host("unusable", [f"0 1 1 {NOBODY}"], anonymous),
        Host("unusable-stripped", [f"1 1 1 {NOBODY}"], anonymous, extensions=()),
        Host("tampered", [f"3 1 1 {mine}"], anonymous),
        Host("silent", [], anonymous),
        Host("insecure", [f"3 1 1 {NOBODY}"], anonymous, zone="plain"),
    ]


#: Host -> outcome, beginning of the reply of the attempt, what its `tls` ends with.
PROVEN = "name proven by DANE"
STORY = {
    "right.test": ("relayed", "", PROVEN),
    "rollover.test": ("relayed", "", PROVEN),
    "anchored.test": ("relayed", "", PROVEN),
    "misnamed.test": ("delayed", "451 4.7.5", ""),
    "wrong.test": ("delayed", "451 4.7.5", ""),
    "stripped.test": ("delayed", "451 4.7.4", ""),
    "unusable.test": ("relayed", "", "for DANE without usable records"),
    "unusable-stripped.test": ("delayed", "451 4.7.4", ""),
    "tampered.test": ("delayed", "451 4.4.3", ""),
    "silent.test": ("relayed", "", ""),
    "insecure.plain": ("relayed", "", ""),
}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    if not secure_dns.program():
        pytest.skip("Unbound is not installed (Debian package unbound)")
    if reason := LabNameServer.is_possible():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("dane")
    hosts = make_hosts(folder)
    server = LabServer(folder / "home", "example.test")
    port = server.ports["relay"]
    zones = {name: LabNameServer(folder / name, name, []) for name in ("test", "plain")}
    with ExitStack() as stack:
        street = Street(server)
        for number, host in enumerate(hosts, start=2):
            address = f"127.0.2.{number}"
            records = zones[host.zone].records
            records += [f"{host.name} MX 10 {host.name}", f"{host.name} A {address}"]
            records += [f"_{port}._tcp.{host.name} TLSA {data}" for data in host.tlsa]
            peer = HostilePeer(host.extensions, context=host.shows.context, address=address, port=port)
            stack.enter_context(serving(peer))
            street.peers[f"{host.name}.{host.zone}"] = peer
        anchor = secure_dns.signed(zones["test"], tampered=[f"_{port}._tcp.tampered.test"])
        resolver = stack.enter_context(secure_dns.validating(folder / "dns", list(zones.values()), [anchor]))
        server.extra = "\n".join(
            (
                'relay = { trusted_networks = ["127.0.0.1"] }',
                f'dns = {{ nameservers = ["127.0.0.1:{resolver}"], timeout = "3s" }}',
                f'delivery = {{ mx_port = {port}, connect_timeout = "5s", allow_addresses = ["127.0.0.0/8"] }}',
            )
        )
        server.prepare()
        server.add_account("bob")
        server.start()
        stack.callback(server.stop)
        for domain in STORY:
            street.send(domain)
        yield street


@pytest.mark.parametrize("domain", STORY)
def test_what_becomes_of_a_letter(street: Street, domain: str) -> None:
    kind, reply, tls = STORY[domain]
    attempt = street.attempt(domain)
    assert attempt["outcomes"] == {kind: 1}, attempt
    assert attempt["reply"].startswith(reply), attempt["reply"]
    assert attempt.get("tls", "").endswith(tls), attempt
    peer = street.peers[domain]
    assert bool(peer.letters) == (kind == "relayed"), peer.text
    if kind == "delayed":
        assert b"MAIL FROM" not in peer.text.upper(), peer.text


def test_what_has_no_records_is_protected_as_ever(street: Street) -> None:
    """A self-made certificate is no obstacle where nobody promised more."""
    for domain in ("silent.test", "insecure.plain"):
        attempt = street.attempt(domain)
        assert attempt["tls"].startswith("TLSv1.3")
        assert "proven" not in attempt["tls"]
