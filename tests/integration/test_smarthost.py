"""A route with a login, to a smarthost that proves its name, and to one that cannot: then nothing is said to it."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from tests.integration.conftest import eventually
from tests.integration.next_hops import SHORT_PAUSE, Peer, start_patched

CAROL = "carol@provider.test"


class Street:
    """home hands everything to provider, as carol; provider hands it to the world."""

    def __init__(self, folder: Path) -> None:
        self.world = Peer()
        self.world.start()
        self.provider = LabServer(folder / "provider", "provider.test")
        self.provider.tables = f'[[route]]\nmatch = "*"\nto = "smtp://127.0.0.1:{self.world.port}"\n'
        self.provider.prepare()
        self.password = self.provider.add_account("carol")
        self.home = LabServer(folder / "home", "example.test")
        self.home.extra = (
            'relay = { trusted_networks = ["127.0.0.1"] }\ndelivery = { retry_first = "1s", retry_factor = 1.0 }'
        )
        self.home.folder.mkdir()
        secret = self.home.folder / "secret"
        secret.write_text(self.password + "\n")
        secret.chmod(0o600)
        targets = {
            "implicit.test": f"smtps://localhost:{self.provider.ports['submissions']}",
            "starttls.test": f"smtp://localhost:{self.provider.ports['submission']}",
        }
        self.home.tables = "\n".join(
            f'[[route]]\nmatch = "{match}"\nto = "{to}"\nusername = "{CAROL}"\npassword_file = "secret"\n'
            for match, to in targets.items()
        )
        self.home.prepare()

    def send(self, to: str) -> str:
        with smtplib.SMTP("127.0.0.1", self.home.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail(CAROL)
            assert client.rcpt(to)[0] == 250
            code, text = client.data(f"From: {CAROL}\r\nSubject: hello\r\n\r\nhello\r\n".encode())
            assert code == 250
            return text.decode().split()[-1]

    def attempts(self, letter: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.home.log_path.read_text().splitlines()]
        return [line for line in lines if line["event"] == "attempt.finished" and line["letter"] == letter]


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with ExitStack() as stack:
        street = Street(tmp_path)
        stack.callback(street.world.stop)
        street.provider.start()
        stack.callback(street.provider.stop)
        stack.callback(street.home.stop)
        yield street


def test_a_smarthost_is_trusted_before_it_gets_the_password(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    start_patched(street.home, SHORT_PAUSE)  # without its certificate among the authorities
    letters = {to: street.send(to) for to in ("x@implicit.test", "x@starttls.test")}
    for letter in letters.values():
        eventually(lambda letter=letter: street.attempts(letter), "an attempt")
        first = street.attempts(letter)[0]
        assert first["outcomes"] == {"delayed": 1}
        assert "certificate" in str(first["reply"]), first["reply"]
    log = street.provider.log_path.read_text()
    assert "login." not in log
    assert street.home.stop() == 0
    assert street.world.paths == []

    monkeypatch.setenv("SSL_CERT_FILE", str(street.provider.certificate))
    start_patched(street.home, SHORT_PAUSE)
    eventually(lambda: sorted(street.world.paths) == ["x@implicit.test", "x@starttls.test"], "both letters")
    for letter in letters.values():
        eventually(lambda letter=letter: street.attempts(letter)[-1]["outcomes"] == {"relayed": 1}, "the outcome")
        last = street.attempts(letter)[-1]
        assert str(last["tls"]).startswith("TLSv1.3")
    log_path = street.provider.log_path
    eventually(lambda: log_path.read_text().count('"login.succeeded"') == 2, "a login a target, in the provider's log")
    assert street.password not in street.home.log_path.read_text() + street.provider.log_path.read_text()
