"""Never an open relay (invariant 3), as strangers see it: the attempts of the self-attack over real connections, and
nmap's. What must come of each is nothing: no recipient is taken, and the other server hears of none.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.policy.relay_attempts import TARGET, Attempt, attempts
from tests.integration.conftest import Town, make_town

#: nmap begins and ends with these words.
NOT_OPEN = "Server doesn't seem to be an open relay, all tests failed"
NO_LOGIN = "Server isn't an open relay, authentication needed"
OPEN = "Server is an open relay"


class Line:
    """A connection to a door in the clear."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((address, port), timeout=30)
        self._file = self._socket.makefile("rwb")
        self.greeting = self.reply()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what was not sent any more: the server had closed
            self._file.close()
        self._socket.close()

    def reply(self) -> str:
        """The last line of a reply; '' when the connection has ended."""
        while line := self._file.readline():
            if line[3:4] != b"-":
                return line.decode("utf-8", "replace").rstrip()
        return ""

    def say(self, line: str) -> str:
        try:
            self._file.write(line.encode() + b"\r\n")
            self._file.flush()
            return self.reply()
        except OSError:
            return ""


ATTEMPTS = attempts("example.test", "mail.example.test", "[127.0.0.1]")


def attempt_on(port: int, attempt: Attempt) -> list[str]:
    """The replies to MAIL, RCPT and DATA, as far as it comes."""
    with Line(port) as line:
        for said in (*attempt.before, f"EHLO {attempt.helo}"):
            line.say(said)
        replies = [line.say(f"MAIL FROM:<{attempt.reverse_path}>{attempt.parameters} SMTPUTF8")]
        replies += [line.say(f"RCPT TO:{attempt.forward_path}"), line.say("DATA")]
        return replies


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[f"{number:02}" for number in range(len(ATTEMPTS))])
def test_the_attempts_of_the_self_attack(town: Town, attempt: Attempt) -> None:
    for door in ("relay", "submission"):
        _, recipient, data = attempt_on(town.home.ports[door], attempt)
        assert recipient[:1] in ("5", ""), recipient
        assert data[:1] in ("5", ""), data


def test_nothing_of_it_is_queued(town: Town) -> None:
    assert town.home.command("queue", "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize("command", ["VRFY bob", "VRFY bob@example.test", "VRFY nobody", "EXPN bob", "EXPN nobody"])
def test_nobody_learns_who_is_here(town: Town, command: str) -> None:
    """RFC 5321 §3.5.3, §7.3: 252, the same for those who are here and those who are not."""
    with Line(town.home.ports["relay"]) as line:
        line.say("EHLO c.test")
        answer = line.say(command)
        assert answer.startswith("252 ")
        assert answer == line.say(command.split(maxsplit=1)[0] + " zzz-nobody-of-that-name")
        assert "bob" not in answer


def nmap(port: int, *arguments: str) -> str:
    """What the script of nmap says of a door. By plain connections: without root it has no others."""
    script = ("--script", "+smtp-open-relay", "--script-args", f"smtp-open-relay.domain={TARGET}")
    command = ["nmap", "-sT", "-Pn", "-n", "-p", str(port), *script, *arguments, "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout


@pytest.mark.peer("nmap")
def test_nmap_finds_no_open_relay(town: Town) -> None:
    assert NOT_OPEN in nmap(town.home.ports["relay"])
    assert NO_LOGIN in nmap(town.home.ports["submission"])


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("trusting"), trusted=True)
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


@pytest.mark.peer("nmap")
def test_nmap_would_find_one(trusting: Town) -> None:
    """From a network that may relay, the same door is one: so the test above can fail."""
    assert OPEN in nmap(trusting.home.ports["relay"])


def test_the_server_starts_with_what_it_attacked(town: Town) -> None:
    """The configuration of a running server passes `config check`, self-attack included, and is explained alike."""
    checked = town.home.command("config", "check")
    assert "open relay" not in checked.stdout + checked.stderr
    explained = town.home.command(
        "explain", "--door", "relay", "--client", "192.0.2.1", "--from", "a@far.test", "--to", "bob@example.test"
    )
    assert explained.stdout.endswith("\naccepted\n")
    assert Path(town.home.folder).exists()
