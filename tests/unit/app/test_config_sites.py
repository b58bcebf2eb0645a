"""`[[site]]`: what is wrong is told with its key, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_file import ConfigErrors, load
from ekiden.config.model import Config, Site

BASE = """\
hostname = "mail.example.test"
data_dir = "/d"
[[route]]
name = "smart"
match = "*"
to = "lmtp+unix:///run/lmtp"
"""
SITE = '[[site]]\nmatch = "far.test"\n'


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "ekiden.toml"
    path.write_text(BASE + text)
    return load(str(path))


def test_all_keys(tmp_path: Path) -> None:
    text = """\
[[site]]
match = "*.big.test"
connections = 2
letters_per_connection = 50
recipients_per_transaction = 10
connections_per_minute = 30
letters_per_minute = 600
retry_first = "10m"
retry_factor = 2
retry_longest = "1d"
family = "ipv4"
[[site]]
match = "*"
retry_first = 0
"""
    assert read(tmp_path, text).site == (
        Site(
            match="*.big.test",
            connections=2,
            letters_per_connection=50,
            recipients_per_transaction=10,
            connections_per_minute=30,
            letters_per_minute=600,
            retry_first=600.0,
            retry_factor=2.0,
            retry_longest=86400.0,
            family="ipv4",
        ),
        Site(match="*"),
    )


@pytest.mark.parametrize("match", ["far.test", "*.far.test", "[192.0.2.1]", "192.0.2.1", "smart", "/run/lmtp", "*"])
def test_matches(tmp_path: Path, match: str) -> None:
    assert read(tmp_path, f'[[site]]\nmatch = "{match}"\n').site == (Site(match=match),)


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[[site]]\nconnections = 1", "site[1].match", "is missing"),
        ('[[site]]\nmatch = "me@far.test"', "site[1].match", '"far.test"'),
        ('[[site]]\nmatch = "mx*.far.test"', "site[1].match", "an MX host"),
        ('[[site]]\nmatch = ""', "site[1].match", "an MX host"),
        (SITE + SITE.replace("far", "FAR"), "site[2].match", "a site above"),
        ('[[site]]\nmatch = "*"\n' + SITE, "site[2].match", 'put "*" last'),
        (SITE + "connections = -1", "site[1].connections", "0 is that of [delivery]"),
        (SITE + "connections = 10001", "site[1].connections", "at most 10000"),
        (SITE + "letters_per_connection = 0", "site[1].letters_per_connection", "1 or more"),
        (SITE + "recipients_per_transaction = 0", "site[1].recipients_per_transaction", "1 or more"),
        (SITE + "recipients_per_transaction = 1001", "site[1].recipients_per_transaction", "at most 1000"),
        (SITE + "connections_per_minute = -1", "site[1].connections_per_minute", "0 is no limit"),
        (SITE + "letters_per_minute = -1", "site[1].letters_per_minute", "0 is no limit"),
        (SITE + "letters_per_minute = 1000001", "site[1].letters_per_minute", "at most 1000000"),
        (SITE + "retry_factor = 0.5", "site[1].retry_factor", "shrink"),
        (SITE + 'retry_first = "x"', "site[1].retry_first", "is no duration"),
        (SITE + "retry_longest = -1", "site[1].retry_longest", "0 or more"),
        (SITE + 'family = "ip4"', "site[1].family", '"both", "ipv4", "ipv6"'),
        (SITE + "conections = 1", "site[1].conections", '"connections"'),
        ("[delivery]\nconnections_per_site = 10001", "delivery.connections_per_site", "at most 10000"),
        ("[delivery]\nconnections_per_site = 0", "delivery.connections_per_site", "more than 0"),
        ("[delivery]\nletters_per_minute = 5", "delivery.letters_per_minute", "[[site]]"),
    ],
)
def test_one_error(tmp_path: Path, text: str, key: str, hint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, text + "\n")
    (found,) = str(caught.value).splitlines()
    assert f": {key}: " in found
    assert hint in found
