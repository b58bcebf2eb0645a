"""Real servers for real clients: one home with alice and bob, one away with carol, shared by a test module."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ekiden.lab.mailprogram import fetch
from ekiden.lab.server import LabServer

#: Bounds a wait that ends as soon as the thing is there; nothing is asserted about time.
PATIENCE = 30.0


def eventually(found: Callable[[], object], what: str) -> object:
    """Waits until `found()` is true and returns it; fails the test otherwise."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")


@dataclass
class Town:
    """home: example.test with alice and bob; away: far.test with carol. Each has a route to the other's port 25."""

    home: LabServer
    away: LabServer
    passwords: dict[str, str]

    def context(self, server: LabServer) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(server.certificate))

    def read(self, login: str) -> list[bytes]:
        """All letters of a mailbox, over POP3 with TLS."""
        server = self.home if login.endswith(self.home.domain) else self.away
        return fetch(server.ports["pop3s"], self.context(server), login, self.passwords[login])

    def wait_for(self, login: str, token: str) -> bytes:
        """The letter with `token` in it, once it has arrived."""

        def arrived() -> bytes | None:
            return next((letter for letter in self.read(login) if token.encode() in letter), None)

        letter = eventually(arrived, f"{token} in the mailbox of {login}")
        assert isinstance(letter, bytes)
        return letter


def make_town(folder: Path, *, workers: int = 1, home_tables: str = "", trusted: bool = False) -> Town:
    home = LabServer(folder / "home", "example.test", workers=workers)
    away = LabServer(folder / "away", "far.test")
    if trusted:
        for server in (home, away):
            server.extra = 'relay = { trusted_networks = ["127.0.0.1/32"] }'
    for here, there in ((home, away), (away, home)):
        here.tables = f'[[route]]\nmatch = "{there.domain}"\nto = "smtp://127.0.0.1:{there.ports["relay"]}"\n'
    home.tables = home_tables + home.tables
    passwords = {}
    for server, names in ((home, ("alice", "bob")), (away, ("carol",))):
        server.prepare()
        for name in names:
            passwords[f"{name}@{server.domain}"] = server.add_account(name)
        server.start()
    return Town(home, away, passwords)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("town"))
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()
