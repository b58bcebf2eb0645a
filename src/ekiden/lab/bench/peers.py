"""Who carries the letters: what the benchmark asks of a server, and Ekiden itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ekiden.lab.bench.scenarios import BOX_DOMAIN, BOXES, LOGIN, PASSWORD, Scenario
from ekiden.lab.server import TRUSTED_HERE, LabServer


class Running(Protocol):
    """A server that was started for one run. `pid`: the root of its processes. `boxes`: the `new` folders of its
    Maildirs, for the inbound scenario."""

    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def boxes(self) -> list[Path]: ...
    def stop(self) -> None: ...


class Peer(Protocol):
    """`name`: in tables. `remark`: what a reader must know about its figures, '' if nothing."""

    name: str
    remark: str

    def why_not(self, scenario: Scenario) -> str:
        """'' if it can do that here, else why not."""

    def start(self, scenario: Scenario, folder: Path, sink: int) -> Running:
        """In `folder`, which does not exist yet. `sink`: the port of the next hop. Raises LabFailed."""


class Ekiden:
    """`workers`: processes."""

    name = "Ekiden"
    remark = ""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def why_not(self, scenario: Scenario) -> str:
        return ""

    def start(self, scenario: Scenario, folder: Path, sink: int) -> Running:
        return _RunningEkiden(self.server(scenario, folder, sink), scenario)

    def server(self, scenario: Scenario, folder: Path, sink: int) -> LabServer:
        """A running one, as `start` uses it."""
        server = LabServer(
            folder,
            BOX_DOMAIN,
            workers=self._workers,
            extra=TRUSTED_HERE,
            tables=f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{sink}"\ntls = "none"\n',
        )
        server.prepare()
        for box in BOXES if scenario.inbound else ():
            server.add_account(box, PASSWORD)
        if scenario.submission:
            server.add_account(LOGIN.partition("@")[0], PASSWORD)
        server.start()
        return server


class _RunningEkiden:
    def __init__(self, server: LabServer, scenario: Scenario) -> None:
        self._server = server
        assert server.process is not None
        self.pid = server.process.pid
        self.port = server.ports["submission" if scenario.submission else "relay"]
        self.boxes = [server.folder / "data/mail" / BOX_DOMAIN / box / "Maildir/new" for box in BOXES]

    def stop(self) -> None:
        self._server.stop()
