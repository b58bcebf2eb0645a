"""The brake on a running server with two workers: a stolen password, what people see, and the decision."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from tests.integration.test_supervisor import events, until

YOU, BOSS = "you@example.test", "boss@example.test"
MOST = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2)
    made.tables = f"[brake]\nnew_accounts = {MOST}\n"
    made.prepare()
    made.start()
    until(lambda: len(events(made, "worker-started")) == 2)
    yield made
    made.kill()


def client(server: LabServer, password: str) -> smtplib.SMTP_SSL:
    context = ssl._create_unverified_context()
    session = smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=context, timeout=30)
    try:
        session.login(YOU, password)
    except smtplib.SMTPException:
        session.close()
        raise
    return session


def send(session: smtplib.SMTP_SSL, subject: str, *paths: str) -> None:
    content = f"From: {YOU}\r\nSubject: {subject}\r\n\r\nhello\r\n"
    assert session.sendmail(YOU, paths or (BOSS,), content) == {}


def letters(server: LabServer, account: str) -> list[str]:
    folder = server.folder / "data" / "mail"
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent.name in ("new", "cur")]
    return [path.read_text() for path in found if f"To: <{account}>" in path.read_text() or account == ""]


def held(server: LabServer) -> list[dict[str, object]]:
    shown = server.command("queue", "list", "--state", "held", "--json").stdout
    found: list[dict[str, object]] = json.loads(shown)
    return found


def braked(server: LabServer) -> list[str]:
    return [row["account"] for row in json.loads(server.command("brake", "list", "--json").stdout)]


def test_from_theft_to_release(server: LabServer) -> None:
    server.add_account("boss")
    password = server.add_account("you")
    thieves = [client(server, password) for _ in range(4)]  # on both workers
    for number in range(MOST + 5):
        send(thieves[number % 4], f"spam {number}")
    told = until(lambda: events(server, "brake.set"))
    assert (told[0]["account"], told[0]["signals"]) == (YOU, ["volume"])
    assert braked(server) == [YOU]
    until(lambda: all(list(map(partial(held_by, server), thieves))))
    for thief in thieves:
        thief.close()
    until(lambda: letters(server, "postmaster@example.test") and letters(server, YOU))
    (notice,) = letters(server, "postmaster@example.test")
    assert f"ekiden brake release {YOU}" in notice
    assert "you can still read your mail" in " ".join(letters(server, YOU)[0].split())
    assert "held" in server.command("account", "show", YOU).stdout
    server.stop()
    server.start()
    with client(server, password) as again:
        send(again, "after a restart")
    waiting = len(held(server))
    assert waiting >= 5
    shown = server.command("brake", "release", YOU).stdout
    assert f"{YOU} sends again; {waiting} legs released" in shown
    until(lambda: any("after a restart" in letter for letter in letters(server, "")))
    assert held(server) == braked(server) == []
    with client(server, password) as owner:
        send(owner, "a day like any other")
    until(lambda: any("a day like any other" in letter for letter in letters(server, "")))
    assert len(events(server, "brake.set")) == len(events(server, "brake.lifted")) == 1


def held_by(server: LabServer, session: smtplib.SMTP_SSL) -> bool:
    """Whether the worker of this session holds what comes now."""
    before = len(events(server, "letter.accepted"))
    send(session, "more")
    accepted = until(lambda: events(server, "letter.accepted")[before:])
    return bool(accepted[0].get("held"))


def test_from_theft_to_bounce_with_the_app_password_revoked(server: LabServer) -> None:
    server.add_account("boss")
    server.add_account("you")
    made = server.command("account", "app-password", "add", YOU, "--name", "Phone", "--json")
    password = json.loads(made.stdout)["app_password"]["secret"]
    with client(server, password) as thief:
        send(thief, "many", *[f"r{number}@far.test" for number in range(MOST + 5)])
        until(lambda: events(server, "brake.set"))
        until(lambda: held_by(server, thief))
    never = server.command("brake", "release", "nobody@example.test", check=False)
    assert (never.returncode, "ekiden brake list" in never.stderr) == (1, True)
    shown = server.command("brake", "bounce", YOU, "--revoke-app-password", "Phone").stdout
    assert "sent back" in shown
    assert braked(server) == held(server) == []
    until(lambda: any("the postmaster sent it back" in " ".join(letter.split()) for letter in letters(server, "")))
    with pytest.raises(smtplib.SMTPAuthenticationError):
        client(server, password)
    assert server.command("brake", "bounce", YOU, check=False).returncode == 1
