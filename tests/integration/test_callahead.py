"""A routed domain of ours whose recipients the next hop knows: unknown ones are refused at our door, live."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, make_town
from tests.integration.rawsmtp import RawSmtp


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    town = make_town(folder)
    town.home.stop()
    town.home.tables = '[[domain]]\nname = "far.test"\nrecipients = "callahead"\n' + town.home.tables
    town.home.prepare()
    town.home.start()
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def rcpt(server: LabServer, path: str) -> str:
    client = RawSmtp(server.ports["relay"])
    client.talk("MAIL FROM:<a@elsewhere.test>")
    try:
        return client.talk(f"RCPT TO:<{path}>")
    finally:
        client.close()


def test_the_next_hop_decides_who_exists(town: Town) -> None:
    assert rcpt(town.home, "nobody@far.test").startswith("550 5.1.1")
    assert rcpt(town.home, "carol@far.test").startswith("250")
    with smtplib.SMTP("127.0.0.1", town.home.ports["relay"], timeout=30) as client:
        client.sendmail("a@elsewhere.test", ["carol@far.test"], "Subject: called-ahead\r\n\r\nx\r\n")
    town.wait_for("carol@far.test", "called-ahead")
    town.away.stop()
    assert rcpt(town.home, "somebody-else@far.test").startswith("450 4.4.1")
    assert rcpt(town.home, "carol@far.test").startswith("250")  # remembered
    assert rcpt(town.home, "x%other.test@far.test").startswith("550 5.7.1")
