"""`ekiden watch` beside a real server with two workers under a little load, and what is left when it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer
from ekiden.storage.sqlite.counts import SqliteCounts
from tests.integration.conftest import eventually

CLIENTS = 24


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2)
    made.prepare()
    made.add_account("alice")
    yield made
    made.kill()


def watch(server: LabServer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ekiden", "watch", "-c", str(server.config_path), *arguments]


def once(server: LabServer) -> dict[str, Any]:
    done = subprocess.run(watch(server, "--once", "--json"), capture_output=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["workers"] else 1)
    return found


def until(server: LabServer, holds: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = once(server)
        return found if holds(found) else None

    found = eventually(look, what)
    assert isinstance(found, dict)
    return found


def send(server: LabServer) -> None:
    """A letter for alice, and a recipient that is refused."""
    with smtplib.SMTP("127.0.0.1", server.ports["relay"]) as client:
        client.sendmail("a@far.test", ["alice@example.test"], b"Subject: x\r\n\r\nhello\r\n")
        client.mail("a@far.test")
        assert client.rcpt("b@elsewhere.test")[0] == 550


def test_two_workers_show_up_with_what_they_do(server: LabServer) -> None:
    assert once(server)["workers"] == 0
    server.start()
    until(server, lambda found: found["workers"] == 2, "both workers")
    opened = [smtplib.SMTP("127.0.0.1", server.ports["relay"]) for _ in range(CLIENTS)]
    for _ in range(5):
        send(server)
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as client:
        client.starttls()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("alice@example.test", "wrong")
    found = until(
        server,
        lambda found: (
            found["doors"]["relay"]["sessions"] == CLIENTS
            and found["letters_out"] == 5
            and found["guessers"]
            and found["refused"]
        ),
        "the load",
    )
    assert found["letters_in"] == found["doors"]["relay"]["letters"] == 5
    assert found["refused"] == {"relay-denied": 5}
    tried = found["logins_failed"]  # smtplib tries each mechanism that it knows
    assert tried >= 1
    assert found["guessers"] == [{"network": "127.0.0.0/24", "wrong_logins": tried}]
    assert found["queue"]["letters"] == 0
    for client in opened:
        client.close()
    until(server, lambda found: found["doors"]["relay"]["sessions"] == 0, "no session")
    server.stop()
    found = once(server)
    assert found["workers"] == 0, "a worker takes its row with it"
    assert found["guessers"] == []


async def test_what_was_counted_is_in_the_store_when_the_server_stops(server: LabServer) -> None:
    server.start()
    for _ in range(3):
        send(server)
    server.stop()
    store = SqliteCounts(server.folder / "data" / "watch")
    hour = await store.first_hour("letters.in")
    assert hour is not None
    assert sum((await store.totals("letters.in", [hour, hour + 1])).values()) == 3
    assert sum((await store.totals("refused", [hour, hour + 1])).values()) == 3
    assert set(await store.top("refused", hour, 5)) <= {"relay-denied"}
    store.close()


def test_a_worker_that_stands_still_or_was_killed_is_not_shown(server: LabServer) -> None:
    server.start()
    until(server, lambda found: found["workers"] == 2, "both workers")
    pid = next(
        json.loads(line)["pid"]
        for line in server.log_path.read_text().splitlines()
        if '"worker-started"' in line
    )  # fmt: skip
    os.kill(pid, signal.SIGSTOP)
    try:
        until(server, lambda found: found["workers"] == 1, "one worker left")
    finally:
        os.kill(pid, signal.SIGKILL)
    until(server, lambda found: found["workers"] == 2, "its successor")


def test_bans_are_counted_with_and_without_a_server(server: LabServer) -> None:
    assert once(server)["bans"] == 0
    command = [sys.executable, "-m", "ekiden", "ban", "add", "203.0.113.0/24", "-c", str(server.config_path)]
    subprocess.run(command, capture_output=True, check=True)
    assert once(server)["bans"] == 1


def test_lines_where_there_is_no_terminal(server: LabServer) -> None:
    server.start()
    process = subprocess.Popen(watch(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  .*; queue 0 waiting, 0 held, 0 in hand; ", line)


def test_a_reader_that_goes_away_ends_it(server: LabServer) -> None:
    done = subprocess.run(
        f"{' '.join(watch(server, '--json'))} | head -n 1", shell=True, capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["workers"] == 0
    assert done.stderr == b""
