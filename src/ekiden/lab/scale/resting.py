"""Memory of a server that does little: at rest, with thousands of idle sessions, and while it takes a large letter."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from ekiden.lab.load import Sink, source
from ekiden.lab.processes import MemoryWatch, pss_octets
from ekiden.lab.scale.findings import Finding, Part
from ekiden.lab.scale.idle import IdleSessions, raise_descriptor_limit
from ekiden.lab.server import TRUSTED_HERE, LabServer

IDLE_SESSIONS: Final = 5000
LARGE_OCTETS: Final = 100_000_000
#: After a start or a burst, until timers and threads have settled.
_SETTLE_SECONDS: Final = 2.0
#: Descriptors that are no session: files, pipes, sockets of our own.
_SPARE_DESCRIPTORS: Final = 200


def relaying(folder: Path, sink: int, *, workers: int, extra: str = "") -> LabServer:
    """A server that relays sink.test to a port of 127.0.0.1."""
    return LabServer(
        folder,
        "bench.test",
        workers=workers,
        extra=f"{TRUSTED_HERE}\n{extra}",
        tables=f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{sink}"\ntls = "none"\n',
    )


def measure_resting(folder: Path) -> Part:
    """Two workers; at rest, then plain and TLS sessions."""
    sessions = min(IDLE_SESSIONS, raise_descriptor_limit() - _SPARE_DESCRIPTORS)
    server = LabServer(folder / "resting", "idle.test", workers=2)
    server.prepare()
    server.start()
    try:
        pid = server.process.pid if server.process is not None else 0
        time.sleep(_SETTLE_SECONDS)
        rest = pss_octets(pid)
        findings = [Finding("at rest, 2 workers", f"{rest / 1e6:.0f} MB", "< 120 MB", rest < 120e6)]
        for tls, most in ((False, 30_000), (True, 45_000)):
            idle = IdleSessions(server.ports["relay"], tls=tls)
            before = pss_octets(pid)
            idle.open(sessions)
            time.sleep(_SETTLE_SECONDS)
            each = (pss_octets(pid) - before) / sessions
            idle.close()
            time.sleep(_SETTLE_SECONDS)
            what = f"{sessions} idle {'TLS ' if tls else ''}sessions, each"
            findings.append(Finding(what, f"{each / 1e3:.1f} KB", f"< {most // 1000} KB", each < most))
        return Part(findings)
    finally:
        server.stop()


def measure_large_letter(folder: Path) -> Part:
    """One letter of 100 MB comes in and leaves."""
    sink = Sink()
    sink.start()
    server = relaying(folder / "large", sink.port, workers=1, extra='limits = { message_size = "200MiB" }')
    server.prepare()
    server.start()
    try:
        pid = server.process.pid if server.process is not None else 0
        source(server.ports["relay"], 50, sessions=5)
        sink.wait_for(50, 60)
        time.sleep(_SETTLE_SECONDS)
        before = pss_octets(pid)
        with MemoryWatch(pid, every=0.02) as watch:
            source(server.ports["relay"], 1, sessions=1, size_octets=LARGE_OCTETS)
            sink.wait_for(51, 120)
        cost = watch.peak - before
        what = f"a letter of {LARGE_OCTETS / 1e6:.0f} MB, accepted and relayed"
        return Part([Finding(what, f"{cost / 1e6:.1f} MB", "< 10 MB", cost < 10e6)])
    finally:
        server.stop()
        sink.stop()
