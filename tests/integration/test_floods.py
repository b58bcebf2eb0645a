"""Guessers and floods from many addresses of 127.0.0.0/8 at a server with two workers, and honest people in between."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from tests.integration.test_guards import ask, can_come, knock, log_in, start
from tests.integration.test_supervisor import until

#: Each in a network of their own; the guessers sit beside them.
HONEST = {"alice": "127.21.0.5", "bob": "127.22.0.5", "carol": "127.23.0.5"}
BESIDE = [f"127.2{number % 3 + 1}.0.{50 + number}" for number in range(6)]
ELSEWHERE = [f"127.{40 + number}.7.9" for number in range(8)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=2)
    yield made
    made.kill()


def guess(server: LabServer, clients: list[str], round_: int) -> list[int]:
    """One guess each, all at once; never at whom the guesser sits beside: that pair is known, and always looked at."""
    names = list(HONEST)

    def once(numbered: tuple[int, str]) -> int:
        number, client = numbered
        return log_in(server, names[(number + 1) % 3], f"guess {round_} {client}", client)

    with ThreadPoolExecutor(len(clients)) as crowd:
        return list(crowd.map(once, enumerate(clients)))


def all_get_in(server: LabServer, passwords: dict[str, str]) -> bool:
    return all(log_in(server, name, passwords[name], client) == 235 for name, client in HONEST.items())


def known_pairs(server: LabServer) -> int:
    with sqlite3.connect(f"file:{server.folder}/data/logins.db?mode=ro", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM known_pair").fetchone()[0])


def test_nobody_honest_is_locked_out_while_many_guess_nor_after_a_restart_or_a_kill(server: LabServer) -> None:
    start(server, "guesses = 2\nban_after = 2")
    passwords = {name: server.add_account(name) for name in (*HONEST, "dave")}
    assert all_get_in(server, passwords)
    until(lambda: known_pairs(server) == 3)
    guessers = BESIDE + ELSEWHERE
    assert guess(server, guessers, 1) == [535] * len(guessers)
    assert guess(server, guessers, 2) == [535] * len(guessers)
    assert all_get_in(server, passwords)
    assert guess(server, guessers, 3) == [421] * len(guessers)
    assert log_in(server, "dave", passwords["dave"], "127.60.0.1") == 235, "nor who was never here"
    assert server.stop() == 0
    server.start()
    assert all_get_in(server, passwords)
    assert guess(server, BESIDE, 4) == [421] * len(BESIDE), "a restart takes no count along"
    assert guess(server, ELSEWHERE, 4) == [421] * len(ELSEWHERE)
    until(lambda: not any(can_come(server, "submission", client) for client in ELSEWHERE for _ in range(3)))
    server.kill()
    server.start()
    assert all_get_in(server, passwords)
    assert not any(can_come(server, "submission", client) for client in ELSEWHERE), "bans are kept over a kill"
    assert all(can_come(server, "submission", client) for client in BESIDE), "beside people nobody is banned"
    assert ask(server, "postmaster") == 250


def flood(server: LabServer, count: int) -> tuple[list[socket.socket], int]:
    """From so many networks, at port 25: those that were let in, and how many were not."""
    inside, refused = [], 0
    for number in range(count):
        connection, line = knock(server, "relay", f"127.{80 + number // 250}.{number % 250}.7")
        if line.startswith(b"220 "):
            inside.append(connection)
        else:
            assert line.startswith(b"421 4.3.2 Too many connections")
            connection.close()
            refused += 1
    return inside, refused


def test_a_flood_from_many_networks_fills_25_and_leaves_room_for_those_who_send(server: LabServer) -> None:
    start(server, "sessions = 40")
    password = server.add_account("alice")
    with ExitStack() as over:
        inside, refused = flood(server, 150)
        for connection in inside:
            over.enter_context(connection)
        assert refused
        assert 36 <= len(inside) <= 72, "nine tenths of the places of two workers"
        assert log_in(server, "alice", password, "127.0.0.9") == 235
        assert can_come(server, "submission", "127.0.0.9")
    until(lambda: ask_quietly(server) == 250)


def ask_quietly(server: LabServer) -> int:
    """421 while the flood is still there."""
    connection, line = knock(server)
    connection.close()
    return 250 if line.startswith(b"220 ") else 421
