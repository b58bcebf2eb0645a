"""Invariant 4 at a smarthost: our password goes to a server that has proven its name, and to no other."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.certificate import write_certificate
from ekiden.lab.server import LabServer
from tests.integration.conftest import eventually
from tests.integration.hostile_peer import HostilePeer, serving
from tests.integration.rawsmtp import RawSmtp

USER, SECRET = "ekiden@provider.test", "correct-horse-battery"
AUTH = "AUTH PLAIN LOGIN"
#: As it would be seen on the wire, or in a file.
SECRETS = (SECRET.encode(), base64.b64encode(SECRET.encode()), base64.b64encode(f"\0{USER}\0{SECRET}".encode()))
#: What a route adds that names the lab's exception.
LENIENT = 'tls = "require"\nallow_unverified_login = true\n'


class House:
    """A server with a route for each peer, by domain, to each of which somebody has sent a letter."""

    def __init__(self, server: LabServer, peers: dict[str, HostilePeer]) -> None:
        self.server = server
        self.peers = peers

    def tried(self, domain: str) -> Any:
        """The letter's leg, once it was tried and put off."""

        def leg() -> Any:
            letters = json.loads(self.server.command("queue", "list", "--json").stdout)
            legs = [leg for letter in letters for leg in letter["legs"] if domain in json.dumps(leg)]
            return next((leg for leg in legs if leg["attempts"]), None)

        return eventually(leg, f"an attempt at {domain}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("smarthost")
    context = self_signed(folder)
    peers = {
        "starttls.test": HostilePeer(("STARTTLS", AUTH), context=context),
        "implicit.test": HostilePeer((AUTH,), context=context, implicit=True),
        "stripped.test": HostilePeer((AUTH,)),
        "refused.test": HostilePeer(("STARTTLS", AUTH), {"STARTTLS": b"454 4.7.0 not now\r\n"}),
        "answered.test": HostilePeer(
            ("STARTTLS", AUTH), {"STARTTLS": b"220 go on\r\n250-peer.test\r\n250 " + AUTH.encode() + b"\r\n"}
        ),
        "asking.test": HostilePeer((AUTH,), {"EHLO": b"334 UGFzc3dvcmQ6\r\n"}),
        "lenient.test": HostilePeer(("STARTTLS", AUTH), context=context),
        "lenient-stripped.test": HostilePeer((AUTH,)),
    }
    server = LabServer(folder / "home", "example.test")
    server.extra = 'relay = { trusted_networks = ["127.0.0.1/32"] }'
    server.tables = "".join(route(domain, peer) for domain, peer in peers.items())
    server.prepare()
    secret = server.folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET + "\n")
    server.start()
    try:
        with serving(*peers.values()):
            client = RawSmtp(server.ports["relay"])
            for domain in peers:
                assert client.letter("bob@example.test", f"carol@{domain}", b"Subject: x\r\n\r\n").startswith("250")
            client.close()
            yield House(server, peers)
    finally:
        server.stop()


def self_signed(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder, "127.0.0.1"))
    return context


def route(domain: str, peer: HostilePeer) -> str:
    scheme = "smtps" if peer.implicit else "smtp"
    return (
        f'[[route]]\nmatch = "{domain}"\nto = "{scheme}://127.0.0.1:{peer.port}"\n'
        f'username = "{USER}"\npassword_file = "secret"\n' + (LENIENT if domain.startswith("lenient") else "")
    )


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("starttls.test", "4.7.5"),
        ("implicit.test", ""),
        ("stripped.test", "4.7.4"),
        ("refused.test", "4.7.4"),
        ("answered.test", "4.7.5"),
        ("asking.test", ""),
        ("lenient-stripped.test", "4.7.4"),
    ],
)
def test_no_password_for_who_has_not_proven_its_name(house: House, domain: str, status: str) -> None:
    leg = house.tried(domain)
    assert status in json.dumps(leg)
    peer = house.peers[domain]
    assert b"AUTH" not in peer.text.upper()
    assert b"MAIL FROM" not in peer.text.upper()
    assert not [secret for secret in SECRETS if secret in peer.text]
    assert peer.letters == []


def test_the_exception_that_the_postmaster_named(house: House) -> None:
    """Shows too that the others would have noticed a password."""
    peer = house.peers["lenient.test"]
    eventually(lambda: peer.letters, "the letter")
    assert SECRETS[-1] in peer.text


def test_the_password_is_nowhere_else(house: House) -> None:
    eventually(lambda: house.peers["lenient.test"].letters, "a login")
    files = [path for path in house.server.folder.rglob("*") if path.is_file() and path.name != "secret"]
    assert not [path for path in files for secret in SECRETS if secret in path.read_bytes()]
