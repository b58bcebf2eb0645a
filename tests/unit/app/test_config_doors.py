"""`[doors.NAME]`: what is wrong is told with its key, and what will surprise, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_doors import door_findings
from ekiden.app.config_file import ConfigErrors, load
from ekiden.config.model import Config, DoorRules
from ekiden.model.door import Door

BASE = """\
hostname = "mail.example.test"
data_dir = "/d"
[tls]
certificate = "c.pem"
private_key = "k.pem"
[listen]
relay = ["0.0.0.0:25"]
submissions = ["0.0.0.0:465"]
[relay]
trusted_networks = ["10.0.0.0/16"]
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "ekiden.toml"
    path.write_text(BASE + text)
    return load(str(path))


def test_all_keys(tmp_path: Path) -> None:
    config = read(tmp_path, '[doors.relay]\nallow = ["10.0.0.0/8"]\ndeny = ["10.9.0.0/16"]\nproxies = ["10.1.2.3"]\n')
    rules = DoorRules(allow=("10.0.0.0/8",), deny=("10.9.0.0/16",), proxies=("10.1.2.3",))
    assert config.doors.of(Door.RELAY) == rules
    assert config.doors.of(Door.POP3S) == DoorRules()


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[doors.relay]\nallow = ["home"]', "doors.relay.allow", "is no network"),
        ('[doors.relay]\ndeny = ["10.0.0.7/8"]', "doors.relay.deny", "bits outside its mask"),
        ('[doors.relay]\nallow = "10.0.0.0/8"', "doors.relay.allow", 'write ["10.0.0.0/8"]'),
        ('[doors.relay]\nproxies = ["0.0.0.0/0"]', "doors.relay.proxies", "list the addresses of the proxies"),
        ('[doors.relay]\nproxies = ["2001:db8::/48"]', "doors.relay.proxies", "wider than /64"),
        ('[doors.smtp]\nallow = ["10.0.0.0/8"]', "doors.smtp", "the keys are relay, submission"),
        ('[doors.relay]\nallowed = ["10.0.0.0/8"]', "doors.relay.allowed", 'did you mean "allow"'),
    ],
)
def test_one_error(tmp_path: Path, text: str, key: str, hint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, text + "\n")
    (error,) = caught.value.errors
    assert error.key.startswith(key)
    assert hint in error.message


def found(tmp_path: Path, text: str) -> dict[str, str]:
    return {".".join(map(str, path)): message for path, message in door_findings(read(tmp_path, text))}


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[doors.relay]\nallow = ["10.0.0.0/8"]', "doors.relay.allow", "other mail servers cannot bring mail"),
        ('[doors.submissions]\nallow = ["10.0.0.0/8"]', "doors.submissions.allow", "from these networks only"),
        ('[doors.pop3s]\ndeny = ["10.0.0.0/8"]', "doors.pop3s", "the door is closed"),
        ('[doors.relay]\nproxies = ["10.0.5.5"]', "doors.relay.proxies.0", "never trusted itself"),
    ],
)
def test_what_surprises(tmp_path: Path, text: str, key: str, hint: str) -> None:
    findings = found(tmp_path, text + "\n")
    assert list(findings) == [key]
    assert hint in findings[key]


def test_what_is_allowed_and_denied_is_denied(tmp_path: Path) -> None:
    findings = found(
        tmp_path, '[doors.submissions]\nallow = ["10.1.0.0/24", "192.0.2.1", "2001:db8::1"]\ndeny = ["10.0.0.0/8"]\n'
    )
    assert list(findings) == ["doors.submissions.allow", "doors.submissions.allow.0"]
    assert "deny comes first" in findings["doors.submissions.allow.0"]


def test_a_usual_configuration_surprises_nobody(tmp_path: Path) -> None:
    assert found(tmp_path, '[doors.relay]\ndeny = ["192.0.2.0/24"]\nproxies = ["198.51.100.7"]\n') == {}
