"""Invariant 4: `passwd`, `disable` and `remove` take effect in every worker and open session."""

from __future__ import annotations

import poplib
import smtplib
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Town, eventually, make_town

ALICE = "alice@example.test"
SESSIONS = 6  # more than workers, so that each has some


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("town"), workers=2)
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def submit(town: Town, password: str) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL("localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30)
    try:
        client.login(ALICE, password)
    except smtplib.SMTPException:
        client.close()
        raise
    return client


def is_closed(reader: poplib.POP3) -> bool:
    try:
        reader.noop()
    except (poplib.error_proto, OSError):
        return True
    return False


def is_over(client: smtplib.SMTP_SSL) -> bool:
    """True once the server has ended the session (smtplib turns a 421 into a closed connection)."""
    try:
        return client.noop()[0] == 421
    except smtplib.SMTPServerDisconnected:
        return True


@pytest.mark.parametrize("change", ["passwd", "disable", "remove"])
def test_open_sessions_end_and_the_old_password_is_over(town: Town, change: str) -> None:
    old = town.passwords[ALICE]
    clients = [submit(town, old) for _ in range(SESSIONS)]
    reader = poplib.POP3_SSL("localhost", town.home.ports["pop3s"], context=town.context(town.home), timeout=30)
    reader.user(ALICE)
    reader.pass_(old)
    if change == "passwd":
        town.home.command("account", "passwd", ALICE, "--password-stdin", stdin="brand-new-9f3k-secret\n")
    else:
        town.home.command("account", change, ALICE)
    for client in clients:
        eventually(lambda client=client: is_over(client), f"the end of a session after {change}")
        client.close()
    eventually(lambda: is_closed(reader), f"the end of the POP3 session after {change}")
    reader.close()
    for _ in range(SESSIONS):  # in no worker is the old success remembered
        with pytest.raises(smtplib.SMTPAuthenticationError):
            submit(town, old)
    if change == "passwd":
        submit(town, "brand-new-9f3k-secret").quit()
