"""What a login costs, and what a storm of wrong ones does to everybody else. Ekiden alone.

Costs: CPU of all of the server's processes, a connection to 465 with a login, less the same without one (the TLS
handshake costs more than most logins). Storm: letters at a fixed rate through 587, each on a connection and with a
login of its own, first in quiet, then while a storm guesses at 465.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ekiden.lab.bench.peers import Ekiden
from ekiden.lab.bench.scenarios import BOX_DOMAIN, LOGIN, PASSWORD, Scenario
from ekiden.lab.guessing import Storm
from ekiden.lab.load import Sink
from ekiden.lab.pacing import Load, Paced, pace
from ekiden.lab.processes import cpu_seconds
from ekiden.lab.server import LabServer

TITLE: Final = "logins"
SUBMISSION: Final = Scenario("submission", TITLE, submission=True)
#: The kernel counts CPU in hundredths of a second. Those with an Argon2 check are a seventh.
VISITS: Final = 400
#: Letters a second.
RATE: Final = 20.0
#: Connections that guess: as many as find a place to wait in two workers, and so many that most are sent away.
GUESSERS: Final = (150, 400)
#: What a remembered login may cost.
TARGET_MS: Final = 2.0


def login_lines(workers: int, seconds: float, folder: Path, *, visits: int = VISITS) -> list[str]:
    """The lines of the report. Raises LabFailed."""
    sink = Sink()
    sink.start()
    try:
        server = Ekiden(workers).server(SUBMISSION, folder, sink.port)
        try:
            return [*_costs(server, visits), *_storm(server, seconds)]
        finally:
            server.stop()
    finally:
        sink.stop()


def _costs(server: LabServer, visits: int) -> list[str]:
    made = server.command("account", "app-password", "add", LOGIN, "--name", "bench", "--json").stdout
    secret = json.loads(made)["app_password"]["secret"]
    visit = _Visits(server)
    visit.many(20, lambda client: client.login(LOGIN, PASSWORD))  # every worker has checked it once
    bare = visit.many(visits, lambda client: client.ehlo())
    remembered = visit.many(visits, lambda client: client.login(LOGIN, PASSWORD)) - bare
    by_app = visit.many(visits, lambda client: client.login(LOGIN, secret)) - bare
    nobody = visit.many(visits // 7 + 1, _wrong) - bare
    verdict = "yes" if remembered <= TARGET_MS else "NO"
    return [
        f"  AUTH PLAIN at 465, CPU ms of the server beyond the {bare:.2f} of a connection (TLS handshake, EHLO, QUIT)",
        f"  password, remembered      {remembered:6.2f}",
        f"  app password              {by_app:6.2f}",
        f"  wrong password (Argon2id) {nobody:6.2f}",
        f"  target: a remembered login at most {TARGET_MS:.0f} ms: {verdict}",
    ]


def _wrong(client: smtplib.SMTP) -> None:
    try:
        client.login(f"nobody@{BOX_DOMAIN}", "wrong")
    except smtplib.SMTPAuthenticationError:
        return


class _Visits:
    def __init__(self, server: LabServer) -> None:
        self._port = server.ports["submissions"]
        self._context = ssl.create_default_context(cafile=str(server.certificate))
        assert server.process is not None
        self._pid = server.process.pid

    def many(self, count: int, what: Callable[[smtplib.SMTP], object]) -> float:
        """CPU milliseconds of the server, each."""
        before = cpu_seconds(self._pid)
        for _ in range(count):
            with smtplib.SMTP_SSL("localhost", self._port, context=self._context, timeout=30) as client:
                what(client)
        return (cpu_seconds(self._pid) - before) * 1000 / count


def _storm(server: LabServer, seconds: float) -> list[str]:
    lines = [
        f"  letters through 587 at {RATE:.0f} a second, a connection and a login each: ms from the final dot to 250",
        f"  {'':<26}{'median':>8}{'p95':>8}{'p99':>8}{'longest':>9}{'late':>6}  guesses answered",
        paced_line("in quiet", honest(server, seconds)),
    ]
    for guessers in GUESSERS:
        with Storm(server.ports["submissions"], BOX_DOMAIN, guessers) as storm:
            stormy = honest(server, seconds)
        answers = ", ".join(f"{count} {code}" for code, count in sorted(storm.answers.items()))
        lines.append(f"{paced_line(f'while {guessers} guess', stormy)}  {answers}")
    return lines


def honest(server: LabServer, seconds: float) -> Paced:
    return pace(
        Load(
            server.ports["submission"],
            max(50, int(RATE * seconds)),
            SUBMISSION.recipients,
            rate=RATE,
            kept=False,
            tls=True,
            login=LOGIN,
            password=PASSWORD,
            sender=LOGIN,
        )
    )


def paced_line(name: str, paced: Paced) -> str:
    return (
        f"  {name:<26}{paced.median_ms:>8.1f}{paced.p95_ms:>8.1f}{paced.p99_ms:>8.1f}{paced.longest_ms:>9.1f}"
        f"{paced.late:>6.0%}"
    )
