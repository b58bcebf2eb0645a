"""`[delivery.detour]` and `[delivery.probe]`: what `config check` says of them, and where the password comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_file import ConfigErrors, load
from ekiden.app.refusal import StartRefused
from ekiden.app.secrets import read_secrets
from ekiden.config.model import Config
from ekiden.policy.detour import DETOUR, detour_route

BASE = 'hostname = "mail.example.test"\ndata_dir = "data"\n'
TO = 'to = "smtps://smtp.provider.test:465"\n'


def written(folder: Path, text: str) -> str:
    path = folder / "ekiden.toml"
    path.write_text(BASE + text)
    return str(path)


def loaded(folder: Path, text: str) -> Config:
    return load(written(folder, text))


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[delivery.detour]\nusername = "u"', "delivery.detour.to", "smtps://"),
        ('[delivery.detour]\nto = "smtp://provider.test"', "delivery.detour.to[1]", "smtps://provider.test:465"),
        ('[delivery.detour]\nto = "smtp://provider.test:25"', "delivery.detour.to[1]", "port 25"),
        ('[delivery.detour]\nto = "lmtp://provider.test"', "delivery.detour.to[1]", "no LMTP"),
        ('[delivery.detour]\nto = "provider.test:465"', "delivery.detour.to[1]", "smtp://"),
        (f'[delivery.detour]\n{TO}username = "u"', "delivery.detour.username", "password_file"),
        (f'[delivery.detour]\n{TO}password_env = "P"', "delivery.detour.password_env", "without a username"),
        (
            f'[delivery.detour]\n{TO}username = "u"\npassword_env = "P"\ntls = "require"',
            "delivery.detour.tls",
            "has not proven its name",
        ),
        (f'[delivery.detour]\n{TO}tls = "yes"', "delivery.detour.tls", '"verify"'),
        (f'[delivery.detour]\n{TO}tls = "none"', "delivery.detour.tls", "contradicts"),
        (f'[delivery.detour]\n{TO}source = "x"', "delivery.detour.source[1]", "is no IP address"),
        (f'[delivery.detour]\n{TO}match = "*"', "delivery.detour.match", "no key here"),
        ('[delivery.probe]\nhosts = ["a.test:25", "b.test:25"]', "delivery.probe.hosts", "3 different hosts"),
        ('[delivery.probe]\nhosts = ["a.test:25", "b.test:25", "A.test:25"]', "delivery.probe.hosts", "3 different"),
        ('[delivery.probe]\nhosts = ["a.test", "b.test:25", "c.test:25"]', "delivery.probe.hosts[1]", "lacks"),
        ('[delivery.probe]\nhosts = ["a:25", "b.test:25", "c.test:25"]', "delivery.probe.hosts[1]", "full name"),
        ("[delivery.probe]\ncontrol = []", "delivery.probe.control", "one host"),
        ('[delivery.probe]\ncontrol = ["a.test:0"]', "delivery.probe.control[1]", "1 to 65535"),
        ('[delivery.probe]\nevery = "0s"', "delivery.probe.every", "more than 0"),
    ],
)
def test_one_error(tmp_path: Path, text: str, key: str, hint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, text + "\n")
    (error,) = caught.value.errors
    assert error.key == key
    assert hint in error.message


def test_what_is_good(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'[delivery.detour]\n{TO}username = "u"\npassword_env = "P"\n')
    route = detour_route(config)
    assert route is not None
    assert (route.to, route.username) == (("smtps://smtp.provider.test:465",), "u")
    assert detour_route(loaded(tmp_path, "[delivery.probe]\nhosts = []\ncontrol = []\n")) is None


def test_addresses_may_be_asked(tmp_path: Path) -> None:
    hosts = '["20.0.0.1:25", "[2001:db8::1]:25", "20.0.0.3:25"]'
    assert len(loaded(tmp_path, f"[delivery.probe]\nhosts = {hosts}\n").delivery.probe.hosts) == 3


def test_the_password_is_read_as_for_a_route(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'[delivery.detour]\n{TO}username = "u"\npassword_env = "P"\n')
    assert read_secrets(config, {"P": "secret"})[DETOUR].password == "secret"
    with pytest.raises(StartRefused, match="detour"):
        read_secrets(config, {})
