"""What a server refuses to begin with, and to go on with: a configuration with which it would relay."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ekiden.app import serving
from ekiden.app.config_file import ConfigErrors, load
from ekiden.config.model import Config
from ekiden.model.decision import Decision, Verdict
from ekiden.session import smtp
from tests.fakes.events import CollectingSink

TEXT = 'hostname = "mail.example.test"\ndata_dir = "data"\n[[domain]]\nname = "example.test"\n'


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "ekiden.toml").write_text(TEXT)
    return str(tmp_path / "ekiden.toml")


@pytest.fixture
def open_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    yes = Decision(Verdict.ACCEPT, "own-domain-any", "a lie")
    monkeypatch.setattr(smtp, "decide_recipient", lambda facts: yes)


@pytest.mark.usefixtures("open_relay")
def test_a_server_that_would_relay_does_not_start(path: str) -> None:
    with pytest.raises(
        ConfigErrors, match=r"ekiden.toml:3: domain\[1\].recipients: would make an open relay: a stranger"
    ):
        serving.serve(path)
    assert not (Path(path).parent / "data").exists(), "nothing was made"


def test_a_reload_that_would_relay_is_refused(path: str, request: pytest.FixtureRequest) -> None:
    taken: list[Config] = []
    certificates = SimpleNamespace(take=taken.append)
    log, old = CollectingSink(), load(path)
    assert isinstance(serving._reload(path, log, certificates, old), Config)
    request.getfixturevalue("open_relay")
    answer = serving._reload(path, log, certificates, old)
    assert isinstance(answer, str)
    assert "would make an open relay" in answer
    assert len(taken) == 1, "nothing of it was taken"
