"""`[passwords] max_age_days` in a running server: told ahead, then refused, the reason for the postmaster alone."""

from __future__ import annotations

import json
import poplib
import smtplib
import time
from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, eventually, make_town

ALICE, BOB = "alice@example.test", "bob@example.test"
DAY = 86_400.0


@pytest.fixture
def town(tmp_path: Any) -> Iterator[Town]:
    town = make_town(tmp_path, home_tables="[passwords]\nmax_age_days = 90\n")
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def age(server: LabServer, account: str, days: float) -> None:
    """Nobody can wait for ninety days: the date of the password goes back."""
    directory = apsw.Connection(str(server.folder / "data" / "directory.db"))
    directory.execute("UPDATE account SET password_changed = ? WHERE name = ?", (time.time() - days * DAY, account))
    directory.close()


def submit(town: Town, account: str) -> None:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(account, town.passwords[account])


def logins(town: Town, event: str, account: str) -> list[dict[str, Any]]:
    lines = map(json.loads, town.home.log_path.read_text().splitlines())
    return [line for line in lines if line["event"] == event and line["account"] == account]


def test_it_is_told_ahead_and_then_refused(town: Town) -> None:
    submit(town, BOB)
    (fresh,) = eventually(lambda: logins(town, "login.succeeded", BOB), "the event of a login")
    assert (fresh.get("level", "info"), "password_until" in fresh) == ("info", False)

    age(town.home, ALICE, 80)
    eventually(lambda: _warned(town), "the warning of a password that will be too old")

    age(town.home, ALICE, 91)
    eventually(lambda: _refused(town), "the refusal of a password that is too old")
    reader = poplib.POP3_SSL("localhost", town.home.ports["pop3s"], context=town.context(town.home), timeout=30)
    reader.user(ALICE)
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        reader.pass_(town.passwords[ALICE])
    reader.close()
    reasons = {line["reason"] for line in logins(town, "login.failed", ALICE)}
    assert reasons == {"password-too-old"}
    submit(town, BOB)


def _warned(town: Town) -> bool:
    submit(town, ALICE)
    told = [line for line in logins(town, "login.succeeded", ALICE) if "password_until" in line]
    return bool(told) and told[-1]["level"] == "warning" and told[-1]["password_until"] > time.time()


def _refused(town: Town) -> bool:
    try:
        submit(town, ALICE)
    except smtplib.SMTPAuthenticationError as error:
        return (error.smtp_code, error.smtp_error[:5]) == (535, b"5.7.8")
    return False
