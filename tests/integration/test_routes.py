"""Routes by sender, of last resort, and from several addresses of ours, as next hops see them."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ekiden.lab.mailprogram import send
from ekiden.lab.server import LabServer
from tests.integration.conftest import eventually
from tests.integration.next_hops import SHORT_PAUSE, Peer, serving, start_patched

TABLES = """
[[route]]
match = "*"
sender = ["shop.test", "<>"]
to = "smtp://127.0.0.1:{shop}"
source = "127.0.0.3"
name = "shop"

[[route]]
match = "stubborn.test"
after_attempts = 2
to = "smtp://127.0.0.1:{last}"

[[route]]
match = "elsewhere.test"
to = "smtp://127.0.0.1:{usual}"
source = "192.0.2.99"

[[route]]
match = "*"
account = ["bob@example.test"]
to = "smtp://127.0.0.1:{bobs}"
name = "bobs"

[[route]]
match = "*"
to = "smtp://127.0.0.1:{usual}"

[[source]]
address = "127.0.0.2"
helo = "mx2.example.test"

[[source]]
address = "127.0.0.3"
helo = "mx3.example.test"
"""


class Home:
    def __init__(self, server: LabServer, peers: dict[str, Peer], passwords: dict[str, str]) -> None:
        self.server = server
        self.peers = peers
        self.passwords = passwords

    def send(self, sender: str, to: str) -> str:
        with smtplib.SMTP("127.0.0.1", self.server.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail(sender)
            assert client.rcpt(to)[0] == 250
            code, text = client.data(b"Subject: hello\r\n\r\nhello\r\n")
            assert code == 250, text
            return text.decode().split()[-1]

    def attempts(self, letter: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.server.log_path.read_text().splitlines()]
        return [line for line in lines if line["event"] == "attempt.finished" and line["letter"] == letter]

    def relayed(self, letter: str) -> list[dict[str, Any]]:
        """All attempts, when the last one has brought it away."""

        def found() -> list[dict[str, Any]] | None:
            attempts = self.attempts(letter)
            return attempts if attempts and attempts[-1]["outcomes"] == {"relayed": 1} else None

        attempts = eventually(found, f"letter {letter} relayed")
        assert isinstance(attempts, list)
        return attempts


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    peers = {"shop": Peer(), "usual": Peer({"RCPT TO:<X@STUBBORN": "450 4.2.1 later"}), "last": Peer(), "bobs": Peer()}
    with ExitStack() as stack:
        stack.enter_context(serving(*peers.values()))
        server = LabServer(
            tmp_path_factory.mktemp("routes") / "home",
            "example.test",
            extra='relay = { trusted_networks = ["127.0.0.1"] }\n'
            'delivery = { retry_first = "1s", retry_factor = 1.0, source = "127.0.0.2" }',
            tables=TABLES.format(**{name: peer.port for name, peer in peers.items()}),
        )
        server.prepare()
        passwords = {name: server.add_account(name) for name in ("bob", "alice")}
        start_patched(server, SHORT_PAUSE)
        stack.callback(server.stop)
        yield Home(server, peers, passwords)


def test_a_sender_goes_out_by_a_smarthost_from_an_address_and_under_a_name_of_its_own(home: Home) -> None:
    mine, other = home.send("a@shop.test", "x@far.test"), home.send("a@home.test", "y@far.test")
    assert home.relayed(mine)[0]["next_hop"] == "route:shop"
    assert home.relayed(other)[0]["next_hop"] == "route:*"
    assert home.peers["shop"].paths == ["x@far.test"]
    assert home.peers["shop"].clients[0] == "127.0.0.3"
    assert home.peers["shop"].lines[0] == "EHLO mx3.example.test"
    assert home.peers["usual"].clients[0] == "127.0.0.2"
    assert home.peers["usual"].lines[0] == "EHLO mx2.example.test"


def test_a_smarthost_of_last_resort(home: Home) -> None:
    attempts = home.relayed(home.send("a@home.test", "x@stubborn.test"))
    assert [attempt["outcomes"] for attempt in attempts] == [{"delayed": 1}, {"delayed": 1}, {"relayed": 1}]
    assert [attempt["next_hop"] for attempt in attempts][-1] == "route:stubborn.test,after=2"
    assert home.peers["last"].paths == ["x@stubborn.test"]


def test_an_address_that_is_not_ours_delays_and_names_its_key(home: Home) -> None:
    letter = home.send("a@home.test", "x@elsewhere.test")
    attempts = eventually(lambda: home.attempts(letter), "an attempt")
    assert isinstance(attempts, list)
    assert attempts[0]["outcomes"] == {"delayed": 1}
    assert attempts[0]["reply"].startswith("451 4.3.5")
    assert 'source of [[route]] "elsewhere.test": this machine cannot send from 192.0.2.99' in attempts[0]["reply"]


def test_an_account_has_a_route_of_its_own(home: Home) -> None:
    """By its login on 587, not by what anybody writes into MAIL on 25."""
    letters = {}
    context = ssl.create_default_context(cafile=str(home.server.certificate))
    for name in ("bob", "alice"):
        login = f"{name}@example.test"
        letters[name] = send(home.server.ports["submission"], context, login, home.passwords[name], f"{name}@far.test")
    stranger = home.send("bob@example.test", "stranger@far.test")
    assert home.relayed(letters["bob"].letter)[0]["next_hop"] == "route:bobs"
    assert home.relayed(letters["alice"].letter)[0]["next_hop"] == "route:*"
    assert home.relayed(stranger)[0]["next_hop"] == "route:*"
    assert home.peers["bobs"].paths == ["bob@far.test"]
