"""Ten thousand recipient domains, each with an MX host of its own, of which a fifth never answers: what becomes of the
others?

Silence is a listening socket whose queue is full: the kernel drops what comes then, as a firewall would. The name
server is NSD; all hosts are addresses of 127/8 with one port.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ekiden.lab.load import Sink
from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.pacing import Load, pace
from ekiden.lab.processes import cpu_seconds
from ekiden.lab.scale.findings import Finding, Part, Table
from ekiden.lab.server import TRUSTED_HERE, LabServer, free_ports

DOMAINS: Final = 10_000
SILENT_PART: Final = 5
_GOOD_ADDRESS: Final = "127.0.0.2"
_SILENT_ADDRESS: Final = "127.0.0.3"
_LIMIT_SECONDS: Final = 120.0
#: A site's connection is kept for a while after its letter.
_SINK_SESSIONS: Final = 15_000


@dataclass
class Country:
    """A server that delivers by MX, the hosts' common sink, and the names."""

    server: LabServer
    sink: Sink
    good: list[str]
    silent: list[str]

    def carry(self, recipients: Sequence[str], letters: int) -> tuple[float, float]:
        """To recipients that answer: letters a second end to end, and the server's CPU in ms a letter."""
        assert self.server.process is not None
        pid, before = self.server.process.pid, self.sink.letters
        cpu, began = cpu_seconds(pid), time.monotonic()
        pace(Load(self.server.ports["relay"], letters, tuple(recipients)), _LIMIT_SECONDS)
        seconds = self.sink.wait_for(before + letters, _LIMIT_SECONDS) - began
        return letters / seconds, (cpu_seconds(pid) - cpu) * 1000 / letters


@contextlib.contextmanager
def country(folder: Path, domains: int) -> Iterator[Country]:
    """Everything of it, started."""
    port = free_ports(1)[0]
    silent = domains // SILENT_PART
    records = ["*.good A " + _GOOD_ADDRESS, "*.silent A " + _SILENT_ADDRESS]
    records += [f"d{n} MX 10 h{n}.{'silent' if n < silent else 'good'}" for n in range(domains)]
    names = LabNameServer(folder / "names", "test", records)
    sink = Sink(port, ("-m", str(_SINK_SESSIONS)), _GOOD_ADDRESS)
    dns = f'{{ nameservers = ["127.0.0.1:{names.port}"] }}'
    delivery = f'{{ mx_port = {port}, allow_addresses = ["127.0.0.0/8"] }}'
    server = LabServer(
        folder / "country",
        "bench.example",
        workers=2,
        extra=f"{TRUSTED_HERE}\ndns = {dns}\ndelivery = {delivery}",
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_silence(port))
        names.start()
        stack.callback(names.stop)
        sink.start()
        stack.callback(sink.stop)
        server.prepare()
        server.start()
        stack.callback(server.stop)
        every = [f"to@d{n}.test" for n in range(domains)]
        yield Country(server, sink, every[silent:], every[:silent])


@contextlib.contextmanager
def _silence(port: int) -> Iterator[None]:
    """Whoever connects gets no answer."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((_SILENT_ADDRESS, port))
        listener.listen(0)
        for _ in range(4):  # the queue takes one more than it should
            caller = stack.enter_context(socket.socket())
            caller.settimeout(0)
            caller.connect_ex((_SILENT_ADDRESS, port))
        yield


def measure_silent(folder: Path) -> Part:
    """The same letters without and with silent domains beside them."""
    with country(folder / "silent", DOMAINS) as land:
        letters = len(land.good)
        land.carry(land.good, letters)  # names are looked up, hosts are met
        alone, _ = land.carry(land.good, letters)
        pace(Load(land.server.ports["relay"], len(land.silent), tuple(land.silent)), _LIMIT_SECONDS)
        beside, _ = land.carry(land.good, letters)
    share = beside / alone
    what = (
        f"{DOMAINS:,} domains, {len(land.silent):,} never answer: the others at {beside:.0f} a second, of {alone:.0f}"
    )
    return Part([Finding(what, f"{share:.0%}", ">= 80%", share >= 0.8)])


def measure_sites(folder: Path, letters: int = 10_000) -> Part:
    """The same number of letters to ever more sites."""
    table = Table(
        f"sites, {letters:,} letters by MX (names known)",
        ("sites", "end to end/s", "CPU ms"),
        note="Limits: connections that are not kept: a site's few letters pay for one each.",
    )
    with country(folder / "sites", DOMAINS * SILENT_PART // (SILENT_PART - 1)) as land:
        for sites in (1, 10, 100, 1_000, 10_000):
            recipients = land.good[:sites]
            land.carry(recipients, max(sites, 200))
            rate, cpu = land.carry(recipients, letters)
            table.rows.append((f"{sites:,}", f"{rate:.0f}", f"{cpu:.3f}"))
    return Part(tables=[table])
