"""`ekiden explain`: what a door would say, from the sessions themselves, without a server and without a trace."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from ekiden.app.config_file import load
from ekiden.app.stores import open_directory
from ekiden.cli.main import run
from ekiden.model.account import Account, Alias, ScramVerifier

CONFIG = """\
hostname = "mail.example.test"
data_dir = "data"
[tls]
certificate = "c.pem"
private_key = "k.pem"
[listen]
relay = ["0.0.0.0:25"]
submission = ["0.0.0.0:587"]
submissions = ["[::]:465"]
[doors.submissions]
deny = ["203.0.113.0/24"]
[relay]
trusted_networks = ["10.0.0.7/32", "192.168.1.0/24"]
[[domain]]
name = "example.test"
[[domain]]
name = "called.test"
recipients = "callahead"
[[domain]]
name = "listed.test"
recipients = "list:names"
[[route]]
match = "called.test"
to = ["smtp://10.9.9.9:25", "smtp://10.9.9.8:25"]
"""
STRANGER = ("--door", "relay", "--client", "198.51.100.7", "--from", "a@far.test")
ALICE = ("--door", "submission", "--client", "198.51.100.7", "--login", "alice@example.test")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "ekiden.toml").write_text(CONFIG)
    (folder / "names").write_text("carol@listed.test\n")
    config = load(str(folder / "ekiden.toml"))

    async def fill() -> None:
        with closing(open_directory(config)) as directory:
            for name in ("alice", "bob"):
                await directory.add_account(Account(f"{name}@example.test", "-", ScramVerifier(b"", 0, b"", b"")))
            bob = await directory.account("bob@example.test")
            assert bob is not None
            await directory.change_account(msgspec.structs.replace(bob, enabled=False))
            await directory.put_alias(Alias("sales@example.test", ("alice@example.test", "x@far.test")))

    asyncio.run(fill())
    return folder


class Told:
    """One explanation: the exit status, and the steps by name."""

    def __init__(self, house: Path, capsys: pytest.CaptureFixture[str], *said: str) -> None:
        self.status = run(["explain", "-c", str(house / "ekiden.toml"), "--json", *said])
        value = json.loads(capsys.readouterr().out)
        self.accepted = value["accepted"]
        self.steps = value["steps"]
        assert self.status == (0 if self.accepted else 1)

    def last(self, name: str) -> dict[str, object]:
        return [step for step in self.steps if step["name"] == name][-1]

    def rule(self, name: str) -> object:
        return self.last(name)["rule"]


@pytest.fixture
def ask(house: Path, capsys: pytest.CaptureFixture[str]):
    return lambda *said: Told(house, capsys, *said)


@pytest.mark.parametrize(
    ("to", "accepted", "rule", "way"),
    [
        ("alice@example.test", True, "own-domain-known", "the mailbox alice@example.test"),
        ("Alice+tag@EXAMPLE.test.", False, "", ""),
        ("bob@example.test", True, "own-domain-known", "the mailbox bob@example.test"),
        ("sales@example.test", True, "own-domain-known", "an alias of ours: alice@example.test, x@far.test"),
        ("nobody@example.test", False, "own-domain-unknown", ""),
        ("carol@listed.test", True, "own-domain-listed", "the MX hosts of listed.test"),
        ("x@listed.test", False, "own-domain-unlisted", ""),
        (
            "x@called.test",
            True,
            "own-domain-callahead",
            'route "called.test": smtp://10.9.9.9:25, then smtp://10.9.9.8:25',
        ),
        ("x%far.test@called.test", False, "routing-characters", ""),
        ("carol@far.test", False, "relay-denied", ""),
        ("<@example.test:carol@far.test>", False, "relay-denied", ""),
    ],
)
def test_what_a_stranger_hears(ask, to: str, accepted: bool, rule: str, way: str) -> None:
    told = ask(*STRANGER, "--to", to)
    assert told.accepted is accepted
    assert told.rule("recipient") == rule
    assert [step["rule"] for step in told.steps if step["name"] == "network"] == ["allowed", "stranger"]
    if accepted:
        assert told.last("next-hop")["reason"] == way
    else:
        assert str(told.last("recipient")["reply"]).startswith("5")
        assert told.steps[-1]["name"] == "recipient"


def test_trusted_networks(ask) -> None:
    told = ask("--door", "relay", "--client", "::ffff:10.0.0.7", "--from", "", "--to", "carol@far.test", "--clear")
    assert told.accepted
    assert told.rule("network") == "trusted"
    assert told.last("network")["reason"] == '[relay] trusted_networks has "10.0.0.7/32"'
    assert told.rule("recipient") == "trusted-network"
    assert told.last("next-hop")["rule"] == "mx:far.test"
    assert told.last("tls")["reason"] == "in the clear"


def test_one_recipient_of_two(ask) -> None:
    told = ask(*STRANGER, "--to", "carol@far.test", "--to", "alice@example.test")
    assert not told.accepted
    assert [step["ok"] for step in told.steps if step["name"] == "recipient"] == [False, True]
    assert told.last("next-hop")["said"] == "alice@example.test"


@pytest.mark.parametrize(
    ("said", "step", "reply", "rule"),
    [
        ((), "content", "250 ", ""),
        (("--from", "alice+tag@example.test"), "content", "250 ", ""),
        (("--from", "sales@example.test"), "content", "250 ", ""),
        (("--from", ""), "content", "250 ", ""),
        (("--from", "bob@example.test"), "sender", "550-5.7.1", "owner-reverse-path"),
        (("--header-from", "bob@example.test"), "content", "550-5.7.1", "owner-from"),
        (("--login", ""), "sender", "530-5.7.0 Auth", ""),
        (("--clear",), "login", "530 ", ""),
        (("--login", "bob@example.test"), "login", "535 ", ""),
        (("--login", "nobody@example.test"), "login", "535 ", ""),
    ],
)
def test_people_who_send(ask, said: tuple[str, ...], step: str, reply: str, rule: str) -> None:
    given = ("--from", "alice@example.test", "--to", "carol@far.test", *said)
    told = ask(*ALICE, *given)
    assert told.accepted is reply.startswith("250")
    assert str(told.last(step)["reply"]).startswith(reply)
    assert told.rule(step) == rule
    if told.accepted:
        assert told.rule("recipient") == "login"
        assert "STARTTLS" in str(told.last("tls")["said"])


def test_a_login_says_why_it_is_none(ask) -> None:
    given = ("--from", "a@example.test", "--to", "carol@far.test")
    assert ask(*ALICE, *given, "--login", "bob@example.test").last("login")["reason"] == "disabled"
    assert ask(*ALICE, *given, "--login", "who@example.test").last("login")["reason"] == "unknown-user"
    told = ask(*STRANGER, "--to", "carol@far.test", "--login", "alice@example.test")
    assert str(told.last("login")["reply"]).startswith("502-5.5.1 ")


def test_doors_for_networks_and_doors_that_are_closed(ask, house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--from", "alice@example.test", "--to", "carol@far.test", "--login", "alice@example.test")
    told = ask("--door", "submissions", "--client", "203.0.113.9", *given)
    assert told.steps[-1]["name"] == "network"
    assert told.rule("network") == "denied"
    assert ask("--door", "submissions", "--client", "2001:db8::1", *given).accepted
    (house / "closed.toml").write_text('hostname = "m.example.test"\ndata_dir = "none"\n')
    assert run(["explain", "-c", str(house / "closed.toml"), *STRANGER, "--to", "b@far.test"]) == 1
    assert "refused at door: [listen] relay names no address" in capsys.readouterr().out
    assert not (house / "none").exists()


def test_for_people(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "-c", str(house / "ekiden.toml"), *STRANGER, "--to", "carol@far.test"]) == 1
    out = capsys.readouterr().out
    for words in (
        "door       ok       [listen] relay = 0.0.0.0:25\n",
        "hello      ok       EHLO [198.51.100.7]\n",
        "recipient  REFUSED  RCPT TO:<carol@far.test>\n",
        "                    rule relay-denied: far.test is not ours, nobody is logged in",
        "\nrefused at recipient: 550-5.7.1 This door takes mail for our own domains only (rule relay-denied)\n",
    ):
        assert words in out
    assert run(["explain", "-c", str(house / "ekiden.toml"), *STRANGER, "--to", "alice@example.test"]) == 0
    assert capsys.readouterr().out.endswith("\naccepted\n")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--client", "10.0.0.777"), "is no IP address"),
        (("--from", "a@b>\r\nRCPT TO:<c@d"), "--from: control characters"),
        (("--to", "a@b\n"), "--to: control characters"),
        (("--header-from", "a\nBcc: x"), "--header-from: control characters"),
        (("--door", "pop3"), "pop3"),
    ],
)
def test_wrong_usage(house: Path, capsys: pytest.CaptureFixture[str], said: tuple[str, ...], words: str) -> None:
    given = ["explain", "-c", str(house / "ekiden.toml"), *STRANGER, "--to", "a@example.test", *said]
    assert run(given) == 2
    assert words in capsys.readouterr().err


def test_nothing_is_written(house: Path, ask) -> None:
    def everything() -> dict[str, bytes]:
        files = sorted(path for path in (house / "data").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}

    before = everything()
    ask(*STRANGER, "--to", "alice@example.test")
    ask(*ALICE, "--from", "alice@example.test", "--to", "carol@far.test")
    assert everything() == before
