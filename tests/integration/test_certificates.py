"""A server with two certificates: each name gets its own, and they are renewed and reloaded while mail flows."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import smtplib
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ekiden.lab.server import LabServer
from tests.fakes.scram import PLUS, ScramPeer
from tests.integration.certificates import authority, make_certificate
from tests.integration.conftest import PATIENCE, eventually

FIRST: Final = "mail.example.test"
SECOND: Final = "mail.example.org"
EXTRA: Final = '[[extra_certificate]]\ncertificate = "second.crt"\nprivate_key = "second.key"\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2, tables=EXTRA)
    made.folder.mkdir()
    renew(made, FIRST)
    renew(made, SECOND)
    made.prepare()
    yield made
    made.kill()


def renew(server: LabServer, name: str) -> None:
    """As certbot does: the new files are moved over the old ones, one after the other."""
    fresh = make_certificate(server.folder, name, stem="fresh")
    names = ("cert.pem", "key.pem") if name == FIRST else ("second.crt", "second.key")
    for made, used in zip((fresh.certificate, fresh.key), names, strict=True):
        os.replace(made, server.folder / used)


def handshake(server: LabServer, name: str) -> bytes:
    """The certificate that a client gets which asks for `name` and proves it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="client.test", timeout=PATIENCE) as client:
        client._host = name  # type: ignore[attr-defined] - what smtplib asks for by SNI
        client.starttls(context=context)
        client.ehlo()
        certificate: bytes = client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr, assignment]
        client.sendmail("someone@else.test", [f"alice@{server.domain}"], "Subject: hello\r\n\r\nhello\r\n")
        return certificate


def scram_plus(server: LabServer, name: str, password: str, *, bound_to: bytes | None = None) -> int:
    """The reply to a login that is bound to the certificate for `name`, or to `bound_to`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    with smtplib.SMTP(
        "127.0.0.1", server.ports["submission"], local_hostname="client.test", timeout=PATIENCE
    ) as client:
        client._host = name  # type: ignore[attr-defined] - what smtplib asks for by SNI
        client.starttls(context=context)
        client.ehlo()
        certificate: bytes = client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr, assignment]
        binding = hashlib.sha256(bound_to or certificate).digest()
        peer = ScramPeer(f"alice@{server.domain}", password, PLUS, binding=binding)
        _, challenge = client.docmd("AUTH", f"{PLUS} {b64encode(peer.first).decode()}")
        code, final = client.docmd(b64encode(peer.answer(b64decode(challenge))).decode())
        if code != 334:
            return code
        peer.verify(b64decode(final))
        return client.docmd("")[0]


def events(server: LabServer, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


class Traffic:
    """Clients that come one after the other until `stop`: what they saw, and what went wrong."""

    def __init__(self, server: LabServer) -> None:
        self.seen: dict[str, list[bytes]] = {FIRST: [], SECOND: []}
        self.faults: list[Exception] = []
        self._server = server
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._come, args=(name,)) for name in (FIRST, SECOND) * 2]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _come(self, name: str) -> None:
        while not self._stopped.is_set():
            try:
                self.seen[name].append(handshake(self._server, name))
            except Exception as error:
                self.faults.append(error)


def test_each_name_gets_its_certificate_and_renewals_lose_nobody(server: LabServer) -> None:
    server.add_account("alice")
    server.start()
    first, second = handshake(server, FIRST), handshake(server, SECOND)
    assert first != second
    with Traffic(server) as traffic:
        for round_ in range(1, 4):
            renew(server, FIRST)
            renew(server, SECOND)
            server.reload()
            for name in (FIRST, SECOND):
                eventually(lambda n=name, r=round_: len(set(traffic.seen[n])) > r, f"renewal {round_} of {name}")  # type: ignore[misc]
    assert traffic.faults == []
    assert traffic.seen[FIRST][0] == first
    assert not set(traffic.seen[FIRST]) & set(traffic.seen[SECOND])
    assert not events(server, "certificate.refused")
    accepted = len(traffic.seen[FIRST]) + len(traffic.seen[SECOND]) + 2
    assert server.stop() == 0  # the log is written behind
    assert len(events(server, "letter.accepted")) == accepted


def test_a_login_is_bound_to_the_certificate_that_was_sent(server: LabServer) -> None:
    """RFC 5929 §4, by the name that the client asked for."""
    password = server.add_account("alice")
    server.start()
    for name in (FIRST, SECOND):
        assert scram_plus(server, name, password) == 235
    assert scram_plus(server, SECOND, password, bound_to=handshake(server, FIRST)) == 535


def test_changed_files_are_taken_up_without_a_reload(server: LabServer) -> None:
    server.add_account("alice")
    server.start()
    first, second = handshake(server, FIRST), handshake(server, SECOND)
    shutil.copy(server.folder / "authority.crt", server.folder / "cert.pem")  # not the key's
    renew(server, SECOND)
    refused = eventually(lambda: events(server, "certificate.refused"), "the broken one is told")
    assert refused[0]["key"] == "tls.private_key"  # type: ignore[index]
    assert "is not the key of the certificate" in refused[0]["reason"]  # type: ignore[index]
    assert (handshake(server, FIRST), handshake(server, SECOND)) == (first, second)
    renew(server, FIRST)
    eventually(lambda: handshake(server, FIRST) != first, "the renewed one is used")
    eventually(lambda: handshake(server, SECOND) != second, "and the other")
    assert [event["key"] for event in events(server, "certificate.loaded")] == ["tls", "extra_certificate[1]"] * 2
    assert server.stop() == 0
