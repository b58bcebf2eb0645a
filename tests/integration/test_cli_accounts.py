"""`ekiden account`, `alias`, `domain` as a person runs them: real processes, a real directory, a real terminal."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import pwd
import subprocess
import sys
import tempfile

import pytest

from ekiden.accounts.login import Authenticator, LoginReason
from ekiden.app.clock import SystemClock, SystemRandom
from ekiden.app.config_file import load
from ekiden.app.stores import open_directory, open_hasher
from ekiden.storage.memory.known_pairs import MemoryKnownPairs

PASSWORD = "correct horse battery"
COMMAND = [sys.executable, "-c", "from ekiden.cli.main import main; main()"]
CONFIG = """hostname = "mail.example.test"
data_dir = "data"
[log]
file = "log.json"
[[domain]]
name = "example.test"
[[domain]]
name = "second.test"
"""


class House:
    """A folder with a configuration; `run` is a command line in it."""

    def __init__(self, folder, config=CONFIG):
        self.folder = folder
        (folder / "ekiden.toml").write_text(config)

    def run(self, *arguments, stdin="", status=0):
        done = subprocess.run([*COMMAND, *arguments], input=stdin.encode(), capture_output=True, cwd=self.folder)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert (done.stderr == b"") == (status == 0)
        self.errors = done.stderr.decode()
        return done.stdout.decode()

    def add(self, address, password=PASSWORD, status=0):
        return self.run("account", "add", address, "--password-stdin", stdin=password + "\n", status=status)

    def events(self):
        lines = (self.folder / "log.json").read_text().splitlines()
        return [(e["event"], e["action"], e["account"]) for e in map(json.loads, lines)]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_the_life_of_an_account(house):
    assert house.add("You@Example.test") == "added you@example.test\n"
    assert json.loads(house.run("account", "list", "--json"))[0]["name"] == "you@example.test"
    assert "disabled" in house.run("account", "disable", "you@example.test")
    assert "disabled" in house.run("account", "list")
    assert "already" in house.run("account", "disable", "you@example.test")
    assert "enabled" in house.run("account", "enable", "you@example.test")
    assert house.run("account", "passwd", "you@example.test", "--password-stdin", stdin="quick fox 9 hedges\n")
    assert house.run("alias", "add", "info@example.test", "you@example.test", "x@far.test").startswith("info@")
    assert "1      " not in house.run("domain", "list", "--json")
    assert "note: 1 alias still leads to it: info@example.test" in house.run("account", "remove", "you@example.test")
    assert house.run("account", "list") == "no accounts; `ekiden account add` makes the first\n"
    actions = ["add", "disable", "enable", "passwd", "alias-add", "remove"]
    assert [action for _, action, _ in house.events()] == actions


async def test_a_password_that_was_set_logs_in_and_is_nowhere_in_clear(house):
    house.add("you@example.test")
    config = load(str(house.folder / "ekiden.toml"))
    directory, hasher = open_directory(config), open_hasher()
    door = Authenticator(directory, hasher, SystemClock(), SystemRandom(), MemoryKnownPairs(), ["example.test"])
    assert (await door.check("you", PASSWORD, client="192.0.2.1", scope="fetch")).reason is LoginReason.OK
    account = await directory.account("you@example.test")
    house.run("account", "passwd", "you@example.test", "--password-stdin", stdin="quick fox 9 hedges\r\n")
    directory.tick()
    assert not await door.still_valid(account.name, account.epoch)
    assert (await door.check("you", PASSWORD, client="192.0.2.1", scope="fetch")).reason is LoginReason.WRONG_PASSWORD
    assert (await door.check("you", "quick fox 9 hedges", client="192.0.2.1", scope="fetch")).reason is LoginReason.OK
    directory.close()
    hasher.close()
    octets = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())
    assert b"quick fox 9 hedges" not in octets
    assert PASSWORD.encode() not in octets


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "words"),
    [
        (["add", "you@far.test", "--password-stdin"], PASSWORD, 1, "ADDRESS: you@far.test: far.test is no [[domain]]"),
        (["add", "you", "--password-stdin"], PASSWORD, 2, "ADDRESS: 'you' is no address"),
        (["add", "you@example.test", "--password-stdin"], "short", 1, "password: has 5 characters and needs 8"),
        (["add", "you@example.test", "--password-stdin"], "", 1, "password: has 0 characters"),
        (["add", "you@example.test", "--password-stdin"], "two lines\nof it", 1, "password: has a control character"),
        (["add", "you@example.test", "--password-stdin"], "Password1", 1, "password: is one of those that were stolen"),
        (
            ["add", "you@example.test", "--password-stdin"],
            "exampletest",
            1,
            "password: is too easy to guess: it is mostly",
        ),
        (["add", "you@example.test"], PASSWORD, 2, "there is no terminal to ask for the password"),
        (["passwd", "no@example.test", "--password-stdin"], PASSWORD, 1, "there is no account no@example.test"),
        (["remove", "no@example.test"], "", 1, "there is no account no@example.test"),
    ],
)
def test_refusals_are_one_line_and_change_nothing(house, arguments, stdin, status, words):
    house.run("account", *arguments, stdin=stdin, status=status)
    assert house.errors.startswith(f"ekiden: {words}")
    assert house.errors.count("\n") == 1
    assert house.run("account", "list", "--json") == "[]\n"
    assert house.events() == []


def test_a_password_of_before_or_of_the_postmasters_list_is_refused_with_the_reason(house):
    house.add("you@example.test")
    passwd = ("account", "passwd", "you@example.test", "--password-stdin")
    house.run(*passwd, stdin="quick fox 9 hedges\n")
    told = house.events()
    house.run(*passwd, stdin=PASSWORD, status=1)
    assert house.errors.startswith("ekiden: password: was used before")
    (house.folder / "ekiden.toml").write_text(CONFIG + '[passwords]\nbreached_file = "stolen.txt"\n')
    house.run(*passwd, stdin="four tall horses run", status=1)
    assert "[passwords] breached_file: " in house.errors
    (house.folder / "stolen.txt").write_text("four tall horses run\n")
    house.run(*passwd, stdin="four tall horses run", status=1)
    assert house.errors.startswith("ekiden: password: is one of those that were stolen")
    assert house.errors.count("\n") == 1
    assert house.events() == told


def test_the_servers_name_is_what_guessers_try_first(tmp_path):
    house = House(tmp_path, CONFIG.replace("mail.example.test", "harbourmaster.test"))
    house.add("you@example.test", "harbourmaster1", status=1)
    assert "the address or the name of the server" in house.errors


def test_an_existing_account_is_not_overwritten(house):
    house.add("you@example.test")
    house.add("you@example.test", "quick fox 9 hedges", status=1)
    assert "there is already an account you@example.test; `ekiden account passwd`" in house.errors


def test_aliases(house):
    house.add("you@example.test")
    house.run("alias", "add", "@second.test", "you@example.test")
    house.run("alias", "add", "info@second.test", "you@example.test", "駅@far.test")
    assert json.loads(house.run("alias", "list", "second.test", "--json")) == [
        {"name": "@second.test", "targets": ["you@example.test"]},
        {"name": "info@second.test", "targets": ["you@example.test", "駅@far.test"]},
    ]
    house.run("alias", "remove", "info@second.test", "you@example.test")
    house.run("alias", "remove", "@second.test")
    assert house.run("alias", "list").splitlines() == ["ALIAS             LEADS TO", "info@second.test  駅@far.test"]
    house.run("alias", "add", "x@example.test", status=2)
    house.run("alias", "remove", "x@example.test", status=1)


def test_looking_makes_no_files(house):
    for group in ("account", "alias", "domain", "queue"):
        house.run(group, "list")
    assert [path.name for path in house.folder.iterdir()] == ["ekiden.toml"]


def test_a_folder_of_somebody_else_is_refused_and_left_alone(house):
    (house.folder / "data").mkdir()
    (house.folder / "data" / "thesis.tex").write_text("theirs")
    house.add("you@example.test", status=1)
    assert "data_dir: " in house.errors
    assert "not ours" in house.errors
    assert [path.name for path in (house.folder / "data").iterdir()] == ["thesis.tex"]


def test_files_are_for_the_service_user_alone(house):
    house.add("you@example.test")
    for path in (house.folder / "data", *(house.folder / "data").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_prompt_asks_twice_and_shows_nothing(house):
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(house.folder)
        os.execv(sys.executable, [*COMMAND, "account", "add", "you@example.test"])
    seen = _until(terminal, b"Password for you@example.test: ")
    os.write(terminal, PASSWORD.encode() + b"\n")
    seen += _until(terminal, b"Once more: ")
    os.write(terminal, PASSWORD.encode() + b"\n")
    seen += _until(terminal, b"added you@example.test")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert PASSWORD.encode() not in seen


def _until(terminal: int, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        seen += os.read(terminal, 1024)
    return seen


@pytest.fixture
def open_folder():
    """Where other users may go, too."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


def test_how_much_an_account_may_send(house):
    you = "you@example.test"
    house.add(you)
    assert json.loads(house.run("account", "show", you, "--json"))["limits"]["messages_per_day"] == 1000
    assert house.run("account", "profile", you, "newsletter") == f"{you} sends as newsletter\n"
    assert "already" in house.run("account", "profile", you, "newsletter")
    house.run("account", "profile", you, "postman", status=1)
    assert "there are person, newsletter, application, network" in house.errors
    assert house.run("account", "recipients", "count", you) == f"{you} knows no recipients\n"
    (house.folder / "readers.txt").write_text("a@far.test\nb@far.test\n")
    assert house.run("account", "recipients", "import", you, "readers.txt").endswith(
        "2 more recipients now, 2 in all\n"
    )
    done = json.loads(house.run("account", "recipients", "import", you, "-", "--json", stdin="B@far.test\nc@far.test"))
    assert (done["read"], done["new"], done["known"]) == (2, 1, 3)
    house.run("account", "recipients", "import", you, "-", stdin="nobody", status=1)
    assert "line 1" in house.errors
    shown = house.run("account", "show", you)
    assert "newsletter: 100,000 messages per day" in shown
    assert "3 recipients" in shown
    house.run("account", "remove", you)
    house.add(you)
    assert house.run("account", "recipients", "count", you) == f"{you} knows no recipients\n"


def test_what_a_mailbox_may_hold(house):
    you = "you@example.test"
    house.add(you)
    assert json.loads(house.run("account", "show", you, "--json"))["mailbox"] == {
        "octets": 0, "messages": 0, "quota": 0,
    }  # fmt: skip
    assert house.run("account", "quota", you, "1KiB") == f"{you} has the quota 1KiB\n"
    assert "already" in house.run("account", "quota", you, "1024")
    maildir = house.folder / "data" / "mail" / "example.test" / "you" / "Maildir"
    (maildir / "new").mkdir(parents=True)
    (maildir / "new" / "1.elsewhere").write_bytes(b"x" * 512)
    assert house.run("account", "recount", you) == f"{you} holds 512 octets in 1 letter, 50 % of 1 KiB\n"
    assert "512 octets in 1 letter, 50 % of 1 KiB" in house.run("account", "show", you)
    for wrong in ("2GB", "0", "-1", "much"):
        house.run("account", "quota", "--", you, wrong, status=2)
    assert house.run("account", "quota", you, "none")
    assert house.run("account", "quota", you, "default")


def test_root_leaves_files_that_the_service_user_can_use(open_folder):
    house = House(open_folder, CONFIG.replace('"data"', '"data"\nuser = "nobody"').replace("log.json", "data/log.json"))
    house.add("you@example.test")
    house.add("bob@example.test")
    assert "bob@example.test" in house.run("account", "list")
    nobody = pwd.getpwnam("nobody").pw_uid
    assert {path.stat().st_uid for path in (open_folder / "data", *(open_folder / "data").iterdir())} == {nobody}
    event = json.loads((open_folder / "data" / "log.json").read_text().splitlines()[0])
    assert event["by"].startswith("root"), "who acts is who started the command"


def test_another_user_is_told_whom_to_be(open_folder):
    house = House(open_folder, CONFIG.replace('"data"', '"data"\nuser = "daemon"').replace("log.json", "data/log.json"))
    house.add("you@example.test")
    # the program itself may be where only root can read it, so it is loaded before
    script = """
import os, pwd, sys
from ekiden.cli import accounts, main
from ekiden.app import clock, stores, config_file
from ekiden.admin import accounts, queue
stores._import_engines()
os.setuid(pwd.getpwnam("nobody").pw_uid)
main.main()
"""
    for arguments in (["remove", "you@example.test"], ["list"]):
        done = subprocess.run(
            [sys.executable, "-c", script, "account", *arguments], cwd=open_folder, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "; run this as daemon, or as root" in done.stderr
        assert done.stderr.count("\n") == 1
