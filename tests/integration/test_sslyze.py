"""Mozilla's "intermediate" profile at every door of a running server, in the eyes of sslyze (tools/fetch_sslyze.sh)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ekiden.lab.server import LabServer
from tests.integration.public_authority import issue

PEERS: Final = Path(os.environ.get("EKIDEN_PEERS", Path(__file__).parents[2] / ".peers"))
SSLYZE: Final = PEERS / "sslyze" / "bin" / "sslyze"
NAME: Final = "mail.example.test"

pytestmark = pytest.mark.skipif(not SSLYZE.exists(), reason="sslyze is not there: tools/fetch_sslyze.sh")


@pytest.fixture(scope="module", params=["ecdsa", "rsa"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    made = LabServer(tmp_path_factory.mktemp("sslyze") / "home", "example.test")
    made.folder.mkdir()
    issue(made.folder, NAME, request.param)
    made.prepare()
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("door", "starttls"),
    [("relay", "smtp"), ("submission", "smtp"), ("submissions", ""), ("pop3", "pop3"), ("pop3s", "")],
)
def test_intermediate_profile(server: LabServer, door: str, starttls: str) -> None:
    options = ["--starttls", starttls] if starttls else []
    done = subprocess.run(
        [
            SSLYZE,
            *options,
            "--mozilla_config=intermediate",
            "--certinfo",
            "--certinfo_ca_file",
            server.folder / "authority.pem",
            "--resum",
            f"{NAME}:{server.ports[door]}{{127.0.0.1}}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[:6000] + done.stderr[-2000:]
    assert "OK - Compliant." in done.stdout
    assert done.stdout.count("NOT SUPPORTED (0 successful resumptions out of 5 attempts)") == 2
