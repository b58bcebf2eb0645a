"""Invariant 4: `passwd`, `disable`, `remove` and `revoke` take effect in every worker and open session."""

from __future__ import annotations

import json
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


def app_password(town: Town, name: str, *options: str) -> str:
    """A new one's secret."""
    done = town.home.command("account", "app-password", "add", ALICE, "--name", name, *options, "--json")
    secret: str = json.loads(done.stdout)["app_password"]["secret"]
    return secret


def fetch(town: Town, password: str) -> poplib.POP3_SSL:
    reader = poplib.POP3_SSL("localhost", town.home.ports["pop3s"], context=town.context(town.home), timeout=30)
    try:
        reader.user(ALICE)
        reader.pass_(password)
    except poplib.error_proto:
        reader.close()
        raise
    return reader


def works(town: Town, password: str) -> bool:
    """A worker may know the account as it was a second ago."""
    try:
        submit(town, password).quit()
    except smtplib.SMTPAuthenticationError:
        return False
    return True


def fetches(town: Town, password: str) -> bool:
    try:
        fetch(town, password).quit()
    except poplib.error_proto:
        return False
    return True


def test_a_revoked_app_password_is_over_and_the_others_go_on(town: Town) -> None:
    phone, tablet = app_password(town, "Phone"), app_password(town, "Tablet")
    for _ in range(SESSIONS):
        eventually(lambda: works(town, tablet), "the new app passwords to be known")
    clients = [submit(town, phone) for _ in range(SESSIONS)]
    reader = fetch(town, phone.replace("-", " ").upper())
    (used, _) = json.loads(town.home.command("account", "app-password", "list", ALICE, "--json").stdout)
    assert used["last_client"] == "127.0.0.1"
    town.home.command("account", "app-password", "revoke", ALICE, "Phone")
    for client in clients:
        eventually(lambda client=client: is_over(client), "the end of a session after revoke")
        client.close()
    eventually(lambda: is_closed(reader), "the end of the POP3 session after revoke")
    reader.close()
    for _ in range(SESSIONS):
        with pytest.raises(smtplib.SMTPAuthenticationError):
            submit(town, phone)
    for password in (tablet, town.passwords[ALICE]):
        submit(town, password).quit()
        fetch(town, password).quit()


def test_an_app_password_made_meanwhile_ends_no_session_and_does_only_what_it_is_for(town: Town) -> None:
    client = submit(town, town.passwords[ALICE])
    reading = app_password(town, "Reader", "--scope", "fetch")
    elsewhere = app_password(town, "Office", "--network", "192.0.2.0/24")
    for _ in range(SESSIONS):
        eventually(lambda: fetches(town, reading), "the new app password to be known")
    for password in (reading, elsewhere):
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            submit(town, password)
        assert (caught.value.smtp_code, caught.value.smtp_error[:5]) == (535, b"5.7.8")
    assert client.noop()[0] == 250
    client.quit()
