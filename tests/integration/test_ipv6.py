"""IPv6: doors, trace fields, trusted networks, and a next hop."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator

import pytest

from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, eventually, make_town

LETTER = "Subject: {}\r\n\r\nover IPv6\r\n"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("town"))
    for server in (town.home, town.away):
        server.stop()
        server.addresses = ("127.0.0.1", "[::1]")
        server.extra = 'relay = { trusted_networks = ["::1/128"] }'
    town.home.tables = f'[[route]]\nmatch = "far.test"\nto = "smtp://[::1]:{town.away.ports["relay"]}"\n'
    for server in (town.home, town.away):
        server.prepare()
        server.start()
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def send(server: LabServer, host: str, recipient: str, subject: str) -> None:
    with smtplib.SMTP(host, server.ports["relay"], timeout=30) as client:
        client.sendmail("a@elsewhere.test", [recipient], LETTER.format(subject))


def test_in_and_out_over_ipv6(town: Town) -> None:
    send(town.home, "::1", "carol@far.test", "six-to-six")
    letter = town.wait_for("carol@far.test", "six-to-six")
    assert letter.count(b"[IPv6:::1]") == 2  # at both servers


def test_trusted_networks_tell_the_families_apart(town: Town) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(town.home, "127.0.0.1", "carol@far.test", "not-trusted")


def test_both_families_at_one_door(town: Town) -> None:
    send(town.home, "::1", "bob@example.test", "by-six")
    send(town.home, "127.0.0.1", "bob@example.test", "by-four")
    town.wait_for("bob@example.test", "by-six")
    town.wait_for("bob@example.test", "by-four")
    eventually(lambda: len(town.read("bob@example.test")) == 2, "both letters")
