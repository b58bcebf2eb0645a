"""A backlog that grows to a million letters while the next hop is down, and what the server is like on the way; then
the next hop returns.

The letters are put in by a tool, through the spool's own door, 4 KiB each, all for one next hop and due at once. At
each size the server starts, takes letters as fast as it can, and stops.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ekiden.app.clock import SystemClock
from ekiden.app.config_file import load
from ekiden.app.stores import open_spool
from ekiden.lab.load import Sink, source
from ekiden.lab.processes import MemoryWatch
from ekiden.lab.scale.findings import Finding, Part, Table
from ekiden.lab.scale.resting import relaying
from ekiden.lab.server import LabFailed, LabServer, free_ports
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient

SIZES: Final = (0, 1_000, 10_000, 100_000, 1_000_000)
_BATCH: Final = 500
_CONTENT: Final = b"Subject: backlog\r\n\r\n" + (b"x" * 76 + b"\r\n") * 52
_HEADER_OCTETS: Final = 18
_LETTERS: Final = 4000  # for each rate
#: The next hop has returned: how long the first letter may take, and how long the rate is measured.
_RETURN_SECONDS: Final = 240.0
_DRAIN_SECONDS: Final = 20.0


@dataclass(frozen=True)
class State:
    """At one size. Rates: letters a second."""

    queued: int
    fill: float
    start_seconds: float
    accepted: float
    memory: int


def fill(config_path: Path, letters: int) -> float:
    """Puts them in; letters a second. The server must be stopped."""
    return asyncio.run(_fill(config_path, letters))


async def _fill(config_path: Path, letters: int) -> float:
    clock = SystemClock()
    spool = open_spool(load(str(config_path)), clock, move_history=False)
    began = time.monotonic()
    origin = Origin(door="relay", client="192.0.2.1")
    try:
        for first in range(0, letters, _BATCH):
            waits = []
            for number in range(first, min(first + _BATCH, letters)):
                draft = spool.begin()
                draft.write(_CONTENT)
                flow = f"a{number % 50}.test"
                envelope = Envelope(f"u{number}@{flow}", clock.now(), origin, len(_CONTENT), _HEADER_OCTETS)
                legs = [NewLeg("route:sink.test", [Recipient("to@sink.test")], flow)]
                waits.append(spool.accept(draft, envelope, legs, claim=False))
            await asyncio.gather(*waits)
    finally:
        await spool.close()
    return letters / (time.monotonic() - began)


def measure_backlog(folder: Path, most: int) -> Part:
    """Up to `most` letters."""
    port = free_ports(1)[0]
    # whatever is tried while the next hop is down shall be due again soon after its return
    soon = 'delivery = { retry_first = "10s", retry_longest = "10s" }'
    server = relaying(folder / "backlog", port, workers=2, extra=soon)
    server.prepare()
    empty = _end_to_end(folder, port)
    states: list[State] = []
    for size in [size for size in SIZES if size <= most]:
        rate = 0.0
        if size:
            rate = fill(server.config_path, size - (states[-1].queued if states else 0))
        states.append(_look(server, size, rate))
    drained, returned, memory = _drain(server, port, states[-1].queued)
    return Part(_findings(states, empty, drained, returned, memory), [_table(states)])


def _look(server: LabServer, queued: int, rate: float) -> State:
    """Starts it, sends, stops it. What was sent stays in the queue too."""
    began = time.monotonic()
    server.start()
    started = time.monotonic() - began
    try:
        pid = server.process.pid if server.process is not None else 0
        with MemoryWatch(pid) as watch:
            source(server.ports["relay"], 200)
            accepted = _LETTERS / source(server.ports["relay"], _LETTERS)
        return State(queued, rate, started, accepted, watch.peak)
    finally:
        server.stop()


def _end_to_end(folder: Path, port: int) -> float:
    """The empty queue's rate, with the next hop up, on a server of its own."""
    sink = Sink(port)
    sink.start()
    server = relaying(folder / "empty", port, workers=2)
    server.prepare()
    server.start()
    try:
        source(server.ports["relay"], 200)
        sink.wait_for(200, 60)
        began = time.monotonic()
        source(server.ports["relay"], _LETTERS * 2)
        return _LETTERS * 2 / (sink.wait_for(200 + _LETTERS * 2, 120) - began)
    finally:
        server.stop()
        sink.stop()


def _drain(server: LabServer, port: int, queued: int) -> tuple[float, float, int]:
    """Letters a second after the next hop has returned; how long the first one took; the largest PSS meanwhile."""
    server.start()
    pid = server.process.pid if server.process is not None else 0
    sink = Sink(port)
    try:
        with MemoryWatch(pid) as watch:
            time.sleep(10.0)  # it finds the next hop down
            back = time.monotonic()
            sink.start()
            first = sink.wait_for(100, _RETURN_SECONDS)
            wanted = min(queued, 100_000)
            try:
                rate = (wanted - 100) / (sink.wait_for(wanted, _DRAIN_SECONDS) - first)
            except LabFailed:  # it is not over yet
                rate = (sink.letters - 100) / (time.monotonic() - first)
        return rate, first - back, watch.peak
    finally:
        server.stop()
        sink.stop()


def _findings(states: list[State], empty: float, drained: float, returned: float, memory: int) -> list[Finding]:
    full, queued = states[-1], f"{states[-1].queued:,} letters queued"
    most = max(memory, full.memory)
    kept, share = full.accepted / states[0].accepted, drained / empty
    return [
        Finding(f"{queued}: memory of all", f"{most / 1e6:.0f} MB", "< 300 MB", most < 300e6),
        Finding(f"{queued}: start-up", f"{full.start_seconds:.1f} s", "< 5 s", full.start_seconds < 5),
        Finding(f"{queued}: accepting, of the empty queue's rate", f"{kept:.0%}", ">= 80%", kept >= 0.8),
        Finding(f"{queued}: drained at {drained:.0f} a second, of {empty:.0f}", f"{share:.0%}", ">= 70%", share >= 0.7),
        Finding("the first letters left after the next hop's return", f"{returned:.0f} s", "", None),
    ]


def _table(states: list[State]) -> Table:
    table = Table(
        "queued letters, next hop down",
        ("queued", "put in/s", "start-up s", "accepted/s", "memory MB"),
        note="Limits: CPU while accepting; the queue's index and content on disk, nothing of it in memory.",
    )
    for one in states:
        rate = f"{one.fill:.0f}" if one.fill else "-"
        table.rows.append(
            (f"{one.queued:,}", rate, f"{one.start_seconds:.2f}", f"{one.accepted:.0f}", f"{one.memory / 1e6:.0f}")
        )
    return table
