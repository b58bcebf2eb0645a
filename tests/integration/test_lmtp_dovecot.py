"""LMTP to a real Dovecot, over TCP and over a Unix socket: an outcome for each recipient of one transaction."""

from __future__ import annotations

import grp
import json
import os
import pwd
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer, free_ports
from tests.integration.conftest import eventually

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = lmtp
ssl = no
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
stats_writer_socket_path =
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
protocol lmtp {{
  postmaster_address = postmaster@example.test
  mail_plugins = quota
}}
plugin {{
  quota = maildir:User quota
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
CONTENT = b"Subject: hello\r\nX-Long: " + b"x" * 900 + b"\r\n\r\n.a dot\r\nthe end\r\n"


@contextmanager
def dovecot() -> Iterator[tuple[Path, int]]:
    """Its folder and the port of its LMTP door. It knows good@tcp.test, good@unix.test, more@…, other@… and
    full@… of both; in the last there is no room."""
    owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    with tempfile.TemporaryDirectory(prefix="ekd-") as name:  # short: the path of a Unix socket has 108 octets at most
        folder, port = Path(name), free_ports(1)[0]
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
        users = [f"{who}@{domain}" for who in ("good", "more", "other", "full") for domain in ("tcp.test", "unix.test")]
        fields = f"{owner.pw_uid}:{owner.pw_gid}::/nonexistent:"
        quotas = {u: " userdb_quota_rule=*:storage=1B" if u.startswith("full") else "" for u in users}
        (folder / "users").write_text("".join(f"{u}::{fields}:{quota}\n" for u, quota in quotas.items()))
        group = grp.getgrgid(owner.pw_gid).gr_name
        (folder / "dovecot.conf").write_text(CONFIG.format(folder=folder, port=port, user=owner.pw_name, group=group))
        with (folder / "stderr").open("wb") as errors:
            process = subprocess.Popen(["dovecot", "-F", "-c", str(folder / "dovecot.conf")], stderr=errors)
        try:
            eventually(lambda: process.poll() is not None or (folder / "lmtp").exists(), "Dovecot's socket")
            assert process.poll() is None, (folder / "stderr").read_text()
            yield folder, port
        finally:
            process.terminate()
            process.wait(30)


class House:
    def __init__(self, server: LabServer, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def send(self, *to: str) -> str:
        with smtplib.SMTP("127.0.0.1", self.server.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail("bob@example.test")
            for one in to:
                assert client.rcpt(one)[0] == 250
            code, text = client.data(CONTENT)
            assert code == 250
            return text.decode().split()[-1]

    def events(self, letter: str, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.server.log_path.read_text().splitlines()]
        return [line for line in lines if line.get("letter") == letter and line["event"] == kind]

    def letters(self, login: str) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "mail" / login / "new").glob("*")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        folder, port = stack.enter_context(dovecot())
        server = LabServer(
            tmp_path_factory.mktemp("lmtp") / "home",
            "example.test",
            extra='relay = { trusted_networks = ["127.0.0.1"] }',
            tables=(
                f'[[route]]\nmatch = "tcp.test"\nto = "lmtp://127.0.0.1:{port}"\n'
                f'[[route]]\nmatch = "unix.test"\nto = "lmtp+unix://{folder}/lmtp"\n'
            ),
        )
        server.prepare()
        server.add_account("bob")
        server.start()
        stack.callback(server.stop)
        yield House(server, folder)


@pytest.mark.peer("dovecot")
@pytest.mark.parametrize("domain", ["tcp.test", "unix.test"])
def test_each_recipient_of_one_transaction_has_an_outcome(house: House, domain: str) -> None:
    letter = house.send(f"good@{domain}", f"unknown@{domain}", f"more@{domain}")
    eventually(lambda: house.events(letter, "attempt.finished"), "an attempt")
    (attempt,) = house.events(letter, "attempt.finished")
    assert attempt["outcomes"] == {"relayed": 2, "failed": 1}, attempt
    assert attempt["reply"].startswith("550 5.1.1")
    for who in ("good", "more"):
        (content,) = house.letters(f"{who}@{domain}")
        assert content.replace(b"\r\n", b"\n").endswith(CONTENT.replace(b"\r\n", b"\n"))
        assert b"Return-Path: <bob@example.test>" in content
    (report,) = eventually(lambda: house.events(letter, "report.made"), "the report")  # type: ignore[misc]
    assert (report["kind"], report["to"]) == ("failed", "bob@example.test")


@pytest.mark.peer("dovecot")
@pytest.mark.parametrize("domain", ["tcp.test", "unix.test"])
def test_a_mailbox_without_room_fails_alone(house: House, domain: str) -> None:
    """Over quota: its own reply behind the content (RFC 2033 §4.2), or to RCPT; the others have their letter."""
    letter = house.send(f"other@{domain}", f"full@{domain}")
    eventually(lambda: house.events(letter, "attempt.finished"), "an attempt")
    (attempt,) = house.events(letter, "attempt.finished")
    assert attempt["outcomes"] == {"relayed": 1, "failed": 1}, attempt
    assert attempt["reply"].startswith("552 5.2.2"), attempt
    (report,) = eventually(lambda: house.events(letter, "report.made"), "the report")  # type: ignore[misc]
    assert report["kind"] == "failed"
    assert house.letters(f"full@{domain}") == []
