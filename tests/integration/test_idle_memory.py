"""What a session that waits costs the server: under 30 KB, under TLS 45 KB (docs/performance.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.lab.processes import pss_octets
from ekiden.lab.scale.idle import IdleSessions
from ekiden.lab.server import LabServer

SESSIONS = 400


@pytest.mark.parametrize(("tls", "most"), [(False, 30_000), (True, 45_000)])
def test_an_idle_session_is_small(tmp_path: Path, tls: bool, most: int) -> None:
    server = LabServer(tmp_path / "server", "idle.test")
    server.prepare()
    server.start()
    sessions = IdleSessions(server.ports["relay"], tls=tls)
    try:
        assert server.process is not None
        sessions.open(20)  # what the first ones cost once for all
        before = pss_octets(server.process.pid)
        sessions.open(SESSIONS)
        each = (pss_octets(server.process.pid) - before) / SESSIONS
    finally:
        sessions.close()
        server.stop()
    assert each < most
