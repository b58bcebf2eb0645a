"""What stands outside the configuration file: certificates, secrets, folders, ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ekiden.app.config_check import Finding, Weight, inspect
from ekiden.app.config_file import load_with_lines
from ekiden.policy.trusted import Neighbourhood, SharedAddress
from tests.unit.net.test_certificates import make

BASE = 'hostname = "mail.example.test"\ndata_dir = "data"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a certificate that is not valid any more (or not yet) at whatever time the tests run."""
    make(tmp_path, "mail.example.test")
    (tmp_path / "k.pem").chmod(0o600)
    return tmp_path


TLS = '[tls]\ncertificate = "c.pem"\nprivate_key = "k.pem"\n'


def look(folder: Path, text: str, *, ports: bool = False) -> list[Finding]:
    path = folder / "ekiden.toml"
    path.write_text(BASE + text)
    return inspect(load_with_lines(str(path)), ports=ports)


def stops(folder: Path, text: str, *, ports: bool = False) -> list[str]:
    found = look(folder, text, ports=ports)
    return [f"{e.line} {e.key}: {e.message}" for weight, e in found if weight is Weight.STOPS]


def test_nothing_to_complain_about(folder: Path) -> None:
    assert stops(folder, TLS, ports=True) == []
    assert not (folder / "data").exists()


def test_an_expired_certificate_is_a_problem_and_stops_nothing(folder: Path) -> None:
    (found,) = [finding for finding in look(folder, TLS) if finding.weight is Weight.WRONG]
    assert found.error.line == 4
    assert "2026-0" in found.error.message


def test_a_certificate_for_another_name(folder: Path) -> None:
    make(folder, "other.test")
    (folder / "k.pem").chmod(0o600)
    notes = [f.error.message for f in look(folder, TLS) if f.weight is Weight.NOTE and f.error.key == "tls.certificate"]
    assert any("is for other.test, not for mail.example.test" in note for note in notes)


def test_certificate_faults_name_their_key_and_line(folder: Path) -> None:
    (found,) = stops(folder, TLS.replace("c.pem", "none.pem"))
    assert found.startswith("4 tls.certificate: ")
    (found,) = stops(folder, TLS.replace("k.pem", "none.pem"))
    assert found.startswith("5 tls.private_key: ")
    (folder / "k.pem").chmod(0o604)
    (found,) = stops(folder, TLS)
    assert "can be read by everybody" in found


ROUTE = '[[route]]\nmatch = "*"\nto = "smtp://x.test:25"\nusername = "me"\n'


def test_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ROUTE + 'password_file = "secret"\n'
    assert "No such file" in stops(folder, text)[0]
    secret = folder / "secret"
    secret.touch(mode=0o600)
    assert stops(folder, text)[0].endswith("secret is empty")
    secret.write_text("geheim\n")
    assert stops(folder, text) == []
    secret.chmod(0o644)
    assert "can be read by everybody" in stops(folder, text)[0]
    text = ROUTE + 'password_env = "EKIDEN_TEST_SECRET"\n'
    assert "no variable EKIDEN_TEST_SECRET" in stops(folder, text)[0]
    monkeypatch.setenv("EKIDEN_TEST_SECRET", "geheim")
    assert stops(folder, text) == []


def test_files(folder: Path) -> None:
    (found,) = stops(folder, '[[domain]]\nname = "a.test"\nrecipients = "list:people.txt"\n')
    assert found.startswith("5 domain[1].recipients: ")
    (folder / "people.txt").write_text("a@a.test\n")
    assert stops(folder, '[[domain]]\nname = "a.test"\nrecipients = "list:people.txt"\n') == []
    (found,) = stops(folder, '[log]\nfile = "none/ekiden.log"\n')
    assert "there is no folder" in found
    data = folder / "data"
    data.write_text("")
    assert stops(folder, "")[0].endswith("data is no folder")
    data.unlink()
    data.mkdir()
    (data / "photo.jpg").touch()
    assert "is not ours" in stops(folder, "")[0]
    (data / ".ekiden").touch()
    assert stops(folder, "") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    os.chown(data, 12345, 12345)
    assert "belongs to user 12345" in stops(folder, "")[0]


def test_ports(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f'[listen]\nrelay = ["127.0.0.1:{port}", "192.0.2.77:2525"]\n'
        assert stops(folder, text) == []
        found = stops(folder, text, ports=True)
    assert len(found) == 2
    assert found[0].startswith(f"4 listen.relay: 127.0.0.1:{port} is taken")
    assert "no address of this machine" in found[1]


def test_notes(folder: Path) -> None:
    keys = {f.error.key: f.error.message for f in look(folder, "[delivery]\nmx_port = 2525\n")}
    assert "labs and tests only" in keys["delivery.mx_port"]
    assert "no door is open" in keys["listen"]
    if os.geteuid() == 0:
        assert "run as root" in keys["user"]


@pytest.mark.skipif(os.geteuid() != 0, reason="user only matters to root")
def test_a_user_who_does_not_exist(folder: Path) -> None:
    (found,) = stops(folder, 'user = "nobody-of-that-name"\n')
    assert found.startswith("3 user: there is no user")


def test_a_route_that_is_never_used_is_a_problem(folder: Path) -> None:
    last = '[[route]]\nmatch = "*"\nafter_attempts = 3\nto = "smtp://x.test:25"\n'
    usual = '[[route]]\nmatch = "*"\nto = "smtp://y.test:25"\n'
    assert [f for f in look(folder, last + usual) if f.error.key.startswith("route")] == []
    (found,) = [f for f in look(folder, usual + last) if f.error.key.startswith("route")]
    assert (found.weight, found.error.key) == (Weight.WRONG, "route[2]")
    assert '"*" above takes all its letters' in found.error.message


def test_a_source_that_this_machine_does_not_have_is_a_problem(folder: Path) -> None:
    text = '[delivery]\nsource = ["127.0.0.2", "2001:db8::1"]\n[[source]]\naddress = "192.0.2.7"\n'
    found = [f for f in look(folder, text) if f.weight is Weight.WRONG]
    assert [f.error.key for f in found] == ["delivery.source[2]", "source[1].address"]
    assert "cannot send from 2001:db8::1" in found[0].error.message
    assert "no `source` names 192.0.2.7" in found[1].error.message


DOCKER = SharedAddress("172.17.0.1", "the gateway of docker0")
CONTAINERS = Neighbourhood(frozenset({"172.17.0.1"}), (DOCKER,))


@pytest.mark.parametrize(
    ("entry", "weight", "words"),
    [
        ('"172.17.0.0/16"', Weight.STOPS, "contains 172.17.0.1, the gateway of docker0"),
        ('{net = "172.17.0.0/16", wide = true}', None, ""),
        ('"172.17.0.1/32"', Weight.NOTE, "is the gateway of docker0: if clients come by it, all of them may relay"),
        ('"172.17.0.2/32"', None, ""),
        ('{net = "0.0.0.0/0", wide = true}', Weight.WRONG, "is everybody"),
        ('{net = "::/0", wide = true}', Weight.WRONG, "is everybody"),
    ],
)
def test_networks_that_trust_more_than_was_meant(folder: Path, entry: str, weight: Weight | None, words: str) -> None:
    path = folder / "ekiden.toml"
    path.write_text(BASE + f"[relay]\ntrusted_networks = [{entry}]\n")
    findings = inspect(load_with_lines(str(path)), ports=False, neighbourhood=CONTAINERS)
    found = [finding for finding in findings if finding.error.key.startswith("relay.")]
    assert [finding.weight for finding in found] == ([] if weight is None else [weight])
    if found:
        assert (found[0].error.key, found[0].error.line) == ("relay.trusted_networks[1]", 4)
        assert words in found[0].error.message


def test_a_list_of_breached_passwords_must_be_readable(folder: Path) -> None:
    text = '[passwords]\nbreached_file = "stolen.txt"\n'
    (found,) = stops(folder, text)
    assert found.startswith("4 passwords.breached_file: ")
    assert "no password could be set" in found
    (folder / "stolen.txt").touch()
    assert stops(folder, text) == []
