"""Guards on a running server with two workers: what they count together, and what is left after one is killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import smtplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer
from tests.integration.test_supervisor import PATIENCE, events, until, workers

#: Not exempt: only 127.0.0.1 is this machine's own.
CLIENT = "127.0.0.9"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2)
    yield made
    made.kill()


def start(server: LabServer, limits: str) -> None:
    server.tables = f"[limits]\n{limits}\n"
    server.prepare()
    server.start()
    until(lambda: len(events(server, "worker-started")) == 2)


def knock(server: LabServer, door: str = "relay", client: str = CLIENT) -> tuple[socket.socket, bytes]:
    """A connection, and the first line."""
    connection = socket.create_connection(("127.0.0.1", server.ports[door]), PATIENCE, source_address=(client, 0))
    return connection, connection.recv(1000)


def enter(server: LabServer, count: int, client: str = CLIENT) -> list[socket.socket]:
    entered = []
    for _ in range(count):
        connection, line = knock(server, client=client)
        assert line.startswith(b"220 ")
        entered.append(connection)
    return entered


def is_refused(server: LabServer, door: str = "relay", client: str = CLIENT) -> bool:
    connection, line = knock(server, door, client)
    with connection:
        if line.startswith((b"220 ", b"+OK")):
            return False
        assert b"Too many connections from your" in line
        assert connection.recv(1000) == b""
        return True


def test_connections_are_counted_over_all_workers_and_doors(server: LabServer) -> None:
    start(server, "connections_per_address = 6\nconnections_per_network = 8")
    entered = enter(server, 6)
    assert is_refused(server)
    assert is_refused(server, "submission")
    assert is_refused(server, "pop3")
    entered += enter(server, 2, "127.0.0.10")
    assert is_refused(server, client="127.0.0.11"), "the network is full"
    assert not is_refused(server, client="127.0.0.1"), "this machine's own programs are exempt"
    entered.pop(0).close()
    until(lambda: not is_refused(server, client="127.0.0.11"))
    for connection in entered:
        connection.close()
    until(lambda: not is_refused(server))
    told = until(lambda: events(server, "guard.acted"))
    assert {event["guard"] for event in told} == {"connections-address", "connections-network"}
    assert len(told) == 2, "one line each, however often"


def test_a_killed_worker_gives_back_its_connections(server: LabServer) -> None:
    start(server, "connections_per_address = 6")
    entered = enter(server, 6)
    assert is_refused(server)
    for pid in workers(server):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(events(server, "worker-started")) == 4)
    until(lambda: not is_refused(server))
    entered += enter(server, 6)
    assert is_refused(server)
    for connection in entered:
        connection.close()


def names(server: LabServer, count: int, first: int) -> list[int]:
    """The codes of so many recipients that do not exist, each in a session of its own."""
    return [ask(server, f"nobody{number}") for number in range(first, first + count)]


def ask(server: LabServer, name: str) -> int:
    client: Any = smtplib.SMTP("127.0.0.1", server.ports["relay"], "client.test", PATIENCE, (CLIENT, 0))
    with client:
        client.ehlo()
        client.mail("a@far.test")
        code: int = client.rcpt(f"{name}@example.test")[0]
        return code


def test_harvesting_is_remembered_over_workers_and_restarts(server: LabServer) -> None:
    start(server, "unknown_recipients = 2")
    assert names(server, 20, 0) == [550] * 20
    assert names(server, 2, 20) == [450] * 2
    assert ask(server, "postmaster") == 250
    for pid in workers(server):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(events(server, "worker-started")) == 4)
    assert names(server, 2, 30) == [450] * 2, "a killed worker takes no count with it"
    assert server.stop() == 0
    server.start()
    assert names(server, 2, 40) == [450] * 2, "nor does a restart"


def log_in(server: LabServer, login: str, password: str, client: str = CLIENT) -> int:
    """The code of the reply."""
    context = ssl._create_unverified_context()  # a certificate of our own making
    connection = smtplib.SMTP_SSL(
        "127.0.0.1",
        server.ports["submissions"],
        "c.test",
        timeout=PATIENCE,
        context=context,
        source_address=(client, 0),
    )
    with connection:
        connection.ehlo()
        initial = base64.b64encode(f"\0{login}@{server.domain}\0{password}".encode()).decode()
        code = connection.docmd(f"AUTH PLAIN {initial}")[0]
        if code == 421:
            connection.close()
        return code


def test_guessers_are_refused_by_both_workers_and_after_a_restart_and_the_owner_is_not(server: LabServer) -> None:
    start(server, "guesses = 3")
    password = server.add_account("alice")
    owner = "127.0.1.5"
    assert log_in(server, "alice", password, owner) == 235
    for number in range(3):
        assert log_in(server, "alice", f"guess {number}") == 535
    for _ in range(4):
        assert log_in(server, "alice", "another guess") == 421
    assert log_in(server, "alice", password) == 421, "no password is looked at"
    assert ask(server, "postmaster") == 250, "mail on port 25 is never touched"
    assert log_in(server, "alice", password, owner) == 235
    assert server.stop() == 0
    server.start()
    assert log_in(server, "alice", "another guess") == 421
    assert log_in(server, "alice", password, owner) == 235
    assert {event["guard"] for event in events(server, "guard.acted")} == {"login-guesses"}


def can_come(server: LabServer, door: str, client: str = CLIENT) -> bool:
    connection, line = knock(server, door, client)
    with connection:
        return line.startswith((b"220 ", b"+OK"))


def test_a_ban_by_hand_holds_at_once_and_without_the_server(server: LabServer) -> None:
    start(server, "sessions = 100")
    open_session, greeting = knock(server, "submission")
    assert greeting.startswith(b"220 ")
    made = json.loads(server.command("ban", "add", CLIENT, "--for", "2h", "--reason", "test", "--json").stdout)
    assert (made["network"], made["reason"]) == (f"{CLIENT}/32", "test")
    with open_session:
        assert open_session.recv(100) == b"", "a session that is open ends"
    until(lambda: not any(can_come(server, "pop3") for _ in range(8)))  # each worker looks four times a second,
    until(lambda: not any(can_come(server, "submission") for _ in range(8)))  # and eight knocks may meet one alone
    assert not can_come(server, "submissions"), "before TLS"
    assert can_come(server, "relay")
    assert can_come(server, "submission", "127.0.0.10")
    assert server.stop() == 0
    assert CLIENT in server.command("ban", "list").stdout
    server.start()
    assert not can_come(server, "pop3"), "kept over a restart"
    assert server.stop() == 0
    server.command("ban", "remove", CLIENT)
    server.start()
    assert can_come(server, "pop3")
    (event,) = until(lambda: events(server, "door.refused"))[:1]
    assert event["rule"] == "banned"


def test_who_guesses_on_is_banned_and_after_a_kill_of_the_whole_server_still_is(server: LabServer) -> None:
    start(server, "guesses = 2\nban_after = 2")
    server.add_account("alice")
    assert [log_in(server, "alice", f"guess {number}") for number in range(4)] == [535, 535, 421, 421]
    until(lambda: not any(can_come(server, "submission") for _ in range(8)))
    assert can_come(server, "relay")
    server.kill()
    server.start()
    assert not any(can_come(server, door) for door in ("submission", "pop3") for _ in range(4))
    assert can_come(server, "relay")
    (ban,) = json.loads(server.command("ban", "list", "--json").stdout)
    assert (ban["network"], ban["by"], ban["times"]) == (f"{CLIENT}/32", "guard:logins", 1)
