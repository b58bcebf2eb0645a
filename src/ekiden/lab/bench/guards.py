"""What guards cost, and what floods do to honest people. Ekiden alone.

Costs: CPU of all of the server's processes, a session at 25 from a stranger's address with all guards on, and with
those off that can be turned off. Floods: letters at a fixed rate through 587, first in quiet, then while banned
addresses connect to 465, and while ever new addresses guess there.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final, NamedTuple

from ekiden.lab.bench.logins import honest, paced_line
from ekiden.lab.bench.scenarios import BOX_DOMAIN, LOGIN, PASSWORD
from ekiden.lab.flood import Flood, address
from ekiden.lab.load import Sink
from ekiden.lab.pacing import Paced
from ekiden.lab.processes import cpu_seconds
from ekiden.lab.server import TRUSTED_HERE, LabServer

TITLE: Final = "guards"
#: The kernel counts CPU in hundredths of a second.
VISITS: Final = 1500
#: Connections a second from banned addresses, and guesses a second from ever new ones.
BANNED_RATE: Final = 1000.0
GUESS_RATE: Final = 100.0
REFUSED_MS: Final = 0.2
SESSION_MS: Final = 0.3
P95_MS: Final = 1000.0
_BANNED: Final = 66
_NEW: Final = 67
_QUIET: Final = 68
#: What a stranger says; the last recipient exists.
_SAYS: Final = (
    b"EHLO stranger.test\r\n",
    b"MAIL FROM:<a@far.test>\r\n",
    f"RCPT TO:<{LOGIN}>\r\n".encode(),
    b"QUIT\r\n",
)
_OFF: Final = "\n".join(
    ["[limits]"]
    + [
        f"{key} = 0"
        for key in ("guesses", "ban_after", "unknown_recipients", "connections_per_address", "connections_per_network")
    ]
)


class _Stormy(NamedTuple):
    """`cpu`: the server's CPU while it lasted, in seconds."""

    paced: Paced
    flood: Flood
    cpu: float

    @property
    def each_ms(self) -> float:
        return self.cpu * 1000 / max(1, self.flood.made)


def guard_lines(workers: int, seconds: float, folder: Path, *, visits: int = VISITS) -> list[str]:
    """The lines of the report. Raises LabFailed."""
    sink = Sink()
    sink.start()
    try:
        server = _server(workers, folder / "on", sink.port, "")
        try:
            on = _visits(server, visits)
            floods = _floods(server, seconds)
        finally:
            server.stop()
        server = _server(workers, folder / "off", sink.port, _OFF)
        try:
            off = _visits(server, visits)
        finally:
            server.stop()
    finally:
        sink.stop()
    return [
        "  a session of a stranger at 25 (EHLO, MAIL, RCPT, QUIT), CPU ms of the server",
        f"  all guards on {on:.3f}, off {off:.3f}; target: {SESSION_MS} more: {_verdict(on - off <= SESSION_MS)}",
        *floods,
    ]


def _server(workers: int, folder: Path, sink: int, tables: str) -> LabServer:
    route = f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{sink}"\ntls = "none"\n'
    server = LabServer(folder, BOX_DOMAIN, workers=workers, extra=TRUSTED_HERE, tables=route + tables)
    server.prepare()
    server.add_account(LOGIN.partition("@")[0], PASSWORD)
    server.start()
    return server


def _visits(server: LabServer, count: int) -> float:
    """CPU milliseconds of the server, each. From an address that is not this machine's own to the guards."""
    assert server.process is not None
    port = server.ports["relay"]
    _visit(port, 0)
    before = cpu_seconds(server.process.pid)
    for number in range(count):
        _visit(port, number)
    return (cpu_seconds(server.process.pid) - before) * 1000 / count


def _visit(port: int, number: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 30, (address(_QUIET, number), 0)) as connection:
        replies = connection.makefile("rb")
        replies.readline()
        for command in _SAYS:
            connection.sendall(command)
            while replies.readline()[3:4] == b"-":
                pass


def _floods(server: LabServer, seconds: float) -> list[str]:
    server.command("ban", "add", f"127.{_BANNED}.0.0/16")
    quiet = honest(server, seconds)
    banned = _flooded(server, seconds, BANNED_RATE, first=_BANNED, guess=False)
    guessed = _flooded(server, seconds, GUESS_RATE, first=_NEW, guess=True)
    return [
        f"  letters through 587, a connection and a login each: ms from the final dot to 250{'':>7}server's CPU",
        f"  {'':<26}{'median':>8}{'p95':>8}{'p99':>8}{'longest':>9}{'late':>6}  cores  made a second, and answers",
        paced_line("in quiet", quiet),
        _flood_line("banned addresses", banned),
        _flood_line("guesses, new addresses", guessed),
        f"  target: p95 under {P95_MS:.0f} ms: "
        + _verdict(max(banned.paced.p95_ms, guessed.paced.p95_ms) < P95_MS)
        + f"; a banned connection, letters included, {banned.each_ms:.2f} ms of CPU, target {REFUSED_MS}: "
        + _verdict(banned.each_ms <= REFUSED_MS),
    ]


def _flooded(server: LabServer, seconds: float, rate: float, *, first: int, guess: bool) -> _Stormy:
    assert server.process is not None
    with Flood(server.ports["submissions"], BOX_DOMAIN, rate, first=first, guess=guess) as flood:
        before = cpu_seconds(server.process.pid)
        paced = honest(server, seconds)
        cpu = cpu_seconds(server.process.pid) - before
    return _Stormy(paced, flood, cpu)


def _flood_line(name: str, stormy: _Stormy) -> str:
    flood = stormy.flood
    answers = ", ".join(f"{count} {code}" for code, count in sorted(flood.answers.items()))
    cores, rate = stormy.cpu / flood.seconds, flood.made / flood.seconds
    return f"{paced_line(name, stormy.paced)}  {cores:5.2f}  {rate:.0f}; {answers}"


def _verdict(met: bool) -> str:  # noqa: FBT001 - a fact
    return "yes" if met else "NO"
