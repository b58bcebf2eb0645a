"""`ekiden config check`: for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ekiden.cli.main import run

GOOD = """\
hostname = "mail.example.test"
data_dir = "data"
[[domain]]
name = "example.test"
[[route]]
match = "*.partner.test"
to = "smtp://10.0.0.1:2525"
"""


def check(folder: Path, text: str, *options: str) -> int:
    (folder / "ekiden.toml").write_text(text)
    return run(["config", "check", "-c", str(folder / "ekiden.toml"), *options])


def test_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, GOOD) == 0
    out = capsys.readouterr().out
    assert "ok, for mail.example.test" in out
    assert "example.test" in out
    assert "smtp://10.0.0.1:2525" in out
    assert "by MX" in out
    assert not (tmp_path / "data").exists()


def test_every_error_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, GOOD.replace("data_dir", "datadir").replace('"10.0', '"10.0').replace(":2525", "")) == 1
    assert check(tmp_path, GOOD + "[limits]\nrecipients = 'x'\nsessions = 0\n") == 1
    lines = capsys.readouterr().err.splitlines()
    assert any("datadir: is no key here" in line for line in lines)
    assert any(f"{tmp_path}/ekiden.toml:9: limits.recipients: must be a whole number" in line for line in lines)
    assert any("limits.sessions: must be more than 0" in line for line in lines)


def test_outside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").write_text("")
    assert check(tmp_path, GOOD) == 1
    assert "ekiden.toml:2: data_dir: " in capsys.readouterr().err


def test_sites_and_what_they_say_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sites = """\
[[site]]
match = "*.big.test"
connections = 2
retry_first = "10m"
[[site]]
match = "*"
"""
    assert check(tmp_path, GOOD + sites) == 0
    out = capsys.readouterr().out
    assert ["site", "*.big.test", "connections", "2,", "retry_first", "600"] in [
        line.split() for line in out.splitlines()
    ]
    assert "as in [delivery]" in out
    assert check(tmp_path, GOOD + sites, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sites"] == [{"match": "*.big.test", "connections": 2, "retry_first": 600.0}, {"match": "*"}]


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, GOOD, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert said["routes"] == [{"match": "*.partner.test", "to": ["smtp://10.0.0.1:2525"]}]
    assert check(tmp_path, GOOD + "x", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["findings"][0]["line"] == 8


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(tmp_path / "none.toml")]) == 1
    assert "cannot be read" in capsys.readouterr().err
