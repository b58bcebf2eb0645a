"""`ekiden events` beside a running server: what came in at the doors, what people did, what the supervisor saw."""

from __future__ import annotations

import base64
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer
from tests.integration.conftest import PATIENCE, eventually

LOGIN = "alice@example.test"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2)
    made.prepare()
    yield made
    made.kill()


def found(server: LabServer, *filters: str) -> list[dict[str, Any]]:
    events = json.loads(server.command("events", "-c", str(server.config_path), "--json", *filters).stdout)
    assert isinstance(events, list)
    return events


def wait_for(server: LabServer, *filters: str) -> dict[str, Any]:
    """The one event that the filters mean, as soon as it is there."""
    events = eventually(lambda: found(server, *filters), f"an event by {filters}")
    assert isinstance(events, list)
    assert len(events) == 1, events
    event: dict[str, Any] = events[0]
    return event


def submission(server: LabServer) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", server.ports["submission"], local_hostname="phone.test", timeout=PATIENCE)
    client.starttls(context=ssl.create_default_context(cafile=str(server.certificate)))
    client.ehlo()
    return client


def fail_to_log_in(server: LabServer) -> None:
    with submission(server) as client:
        proof = base64.b64encode(f"\0{LOGIN}\0not this one".encode()).decode()
        assert client.docmd("AUTH PLAIN", proof)[0] == 535


def be_refused(server: LabServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="x.test", timeout=PATIENCE) as client:
        client.ehlo()
        assert client.docmd("MAIL FROM:<x@else.test>")[0] == 250
        assert client.docmd("RCPT TO:<y@far.test>")[0] == 550


def test_logins_refusals_and_changes_are_found(server: LabServer) -> None:
    password = server.add_account("alice")
    server.start()
    fail_to_log_in(server)
    with submission(server) as client:
        client.login(LOGIN, password)
    be_refused(server)
    failed = wait_for(server, "--name", "login.failed")
    assert (failed["account"], failed["door"], failed["client"]) == (LOGIN, "submission", "127.0.0.1")
    assert failed["level"] == "warning"
    wait_for(server, "--name", "login.succeeded", "--account", "Alice@example.test")
    refused = wait_for(server, "--door", "25", "--client", "127.0.0.0/8", "--since", "1h")
    assert (refused["event"], refused["forward_path"]) == ("recipient.refused", "y@far.test")
    added = wait_for(server, "--name", "account.*")
    assert (added["action"], added["account"]) == ("add", LOGIN)
    names = [event["event"] for event in found(server, "--account", LOGIN)]
    assert names == ["account.changed", "login.failed", "login.succeeded"]

    def life() -> list[str]:
        return [event["what"] for event in found(server, "--name", "server.changed")]

    eventually(lambda: {"listening", "worker-started", "started"} <= set(life()), "the life of the processes")
    assert found(server, "--client", "192.0.2.7") == []
    assert found(server, "--until", "2h") == []


def test_people_read_a_sentence_and_nothing_that_a_terminal_obeys(server: LabServer) -> None:
    server.start()
    be_refused(server)
    wait_for(server, "--name", "recipient.refused")
    shown = server.command("events", "-c", str(server.config_path), "--door", "relay").stdout
    assert "refused x@else.test to y@far.test at relay (25) from 127.0.0.1: 550 5.7.1" in shown
    assert "\x1b" not in shown


def test_who_follows_sees_what_happens(server: LabServer) -> None:
    server.start()
    command = [sys.executable, "-m", "ekiden", "events", "-c", str(server.config_path), "--follow", "--json"]
    with subprocess.Popen([*command, "--name", "account.changed"], stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        server.add_account("alice")
        server.add_account("bob")
        seen = [json.loads(follower.stdout.readline())["account"] for _ in range(2)]
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE) == 0
    assert seen == [LOGIN, "bob@example.test"]


def test_what_was_told_survives_a_killed_worker_and_the_supervisor_tells_of_it(server: LabServer) -> None:
    server.add_account("alice")
    server.start()
    fail_to_log_in(server)
    wait_for(server, "--name", "login.failed")
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)

    def both_told() -> bool:
        return [e.get("what") for e in found(server, "--level", "error")].count("worker-died") == 2

    eventually(both_told, "two dead workers")
    assert len(found(server, "--name", "login.failed")) == 1


def test_an_event_of_the_last_moment_is_written_when_the_server_stops(server: LabServer) -> None:
    server.add_account("alice")
    server.start()
    fail_to_log_in(server)
    server.stop()
    wait_for(server, "--name", "login.failed")
    assert found(server)[-1]["what"] == "stopped"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "login.fail"), "there is login.failed, login.succeeded"),
        (("--since", "yesterday"), 'write "30m", "2h"'),
        (("--client", "example.org"), "is no network"),
        (("--door", "26"), "submission (587)"),
        (("--letter", "x"), "13 characters"),
        (("--since", "1h", "--until", "2h"), "is not after --since"),
        (("--follow", "--until", "1h"), "leave out --until"),
    ],
)
def test_wrong_usage_says_what_would_be_right(server: LabServer, arguments: tuple[str, ...], said: str) -> None:
    done = server.command("events", "-c", str(server.config_path), *arguments, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_before_the_first_event_there_is_nothing(server: LabServer) -> None:
    assert found(server) == []
    shown = server.command("events", "-c", str(server.config_path)).stdout
    assert shown == "no such event is in the store\n"
    assert not (server.folder / "data" / "events").exists()
