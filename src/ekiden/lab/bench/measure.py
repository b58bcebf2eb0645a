"""One run: a server is started, warmed up, loaded and stopped, and what it did and cost is counted."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ekiden.lab.bench.figures import Figure
from ekiden.lab.bench.peers import Peer, Running
from ekiden.lab.bench.scenarios import LOGIN, PASSWORD, SESSIONS, Scenario
from ekiden.lab.load import Sink, source
from ekiden.lab.pacing import Load, Paced, pace
from ekiden.lab.processes import MemoryWatch, cpu_seconds
from ekiden.lab.server import LabFailed

#: End to end, one run.
LIMIT_SECONDS: Final = 120.0
#: Before a run: processes are started, files made, and the rate is guessed from it.
WARM_LETTERS: Final = 200


class Arrivals(Protocol):
    """Where letters end."""

    letters: int

    def wait_for(self, letters: int, seconds: float) -> float: ...


@dataclass(frozen=True)
class Extent:
    """How long a run is: `letters`, or if that is 0 as many as about `seconds` take."""

    letters: int
    seconds: float

    def of(self, rate: float) -> int:
        return self.letters or max(SESSIONS * 2, min(100_000, int(rate * self.seconds)))


class BoxCounter:
    """Counts what stands in the `new` folders of Maildirs. Looking costs CPU, so it looks when it may be time."""

    def __init__(self, boxes: list[Path]) -> None:
        self.letters = 0
        self._boxes = boxes

    def wait_for(self, letters: int, seconds: float) -> float:
        """See `load.Sink.wait_for`."""
        began = time.monotonic()
        while True:
            self.letters = sum(_entries(box) for box in self._boxes)
            now = time.monotonic()
            if self.letters >= letters:
                return now
            if now > began + seconds:
                raise LabFailed(f"only {self.letters} of {letters} letters came into mailboxes within {seconds:.0f} s")
            expected = (now - began) * (letters - self.letters) / max(1, self.letters)
            time.sleep(min(0.3, max(0.02, expected / 2)))


def _entries(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def started(peer: Peer, scenario: Scenario, folder: Path) -> Iterator[tuple[Running, Arrivals]]:
    """The server with its next hop; `folder` is gone afterwards."""
    sink = Sink()
    sink.start()
    try:
        running = peer.start(scenario, folder, sink.port)
        try:
            yield running, BoxCounter(running.boxes) if scenario.inbound else sink
        finally:
            running.stop()
    finally:
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


def tools_alone(scenario: Scenario, extent: Extent) -> Figure:
    """Sender and sink with nothing between: what the load itself allows."""
    sink = Sink()
    sink.start()
    try:
        guess = WARM_LETTERS / source(sink.port, WARM_LETTERS, size_octets=scenario.size_octets, kept=scenario.kept)
        letters = extent.of(guess)
        rate = letters / source(sink.port, letters, size_octets=scenario.size_octets, kept=scenario.kept)
    finally:
        sink.stop()
    return Figure(letters, rate, rate)


def throughput(peer: Peer, scenario: Scenario, extent: Extent, folder: Path) -> Figure:
    """As fast as it takes them, over 50 sessions."""
    with started(peer, scenario, folder) as (running, arrivals):
        began, _ = send(running.port, scenario, WARM_LETTERS)
        rate = WARM_LETTERS / (arrivals.wait_for(WARM_LETTERS, LIMIT_SECONDS) - began)
        letters = extent.of(rate)
        cpu = cpu_seconds(running.pid)
        with MemoryWatch(running.pid) as memory:
            began, accepted = send(running.port, scenario, letters)
            arrived = arrivals.wait_for(WARM_LETTERS + letters, LIMIT_SECONDS) - began
            used = cpu_seconds(running.pid) - cpu
        return Figure(letters, letters / accepted, letters / arrived, used * 1000 / letters, memory.peak)


def at_rate(peer: Peer, scenario: Scenario, rate: float, seconds: float, folder: Path) -> Paced:
    """At `rate` letters a second: how long the 250 took."""
    letters = max(SESSIONS, int(rate * seconds))
    with started(peer, scenario, folder) as (running, arrivals):
        send(running.port, scenario, WARM_LETTERS)
        arrivals.wait_for(WARM_LETTERS, LIMIT_SECONDS)
        paced = pace(_load(running.port, scenario, letters, rate), LIMIT_SECONDS)
        arrivals.wait_for(WARM_LETTERS + letters, LIMIT_SECONDS)
        return paced


def send(port: int, scenario: Scenario, letters: int) -> tuple[float, float]:
    """When the first letter began, and the seconds to the last 250."""
    if scenario.submission:  # smtp-source has no TLS
        paced = pace(_load(port, scenario, letters, 0.0), LIMIT_SECONDS)
        return paced.began, paced.seconds
    began = time.monotonic()
    lanes = scenario.recipients
    shares = [letters // len(lanes) + (number < letters % len(lanes)) for number in range(len(lanes))]
    with ThreadPoolExecutor(len(lanes)) as pool:
        sent = [
            pool.submit(
                source,
                port,
                share,
                sessions=SESSIONS // len(lanes),
                size_octets=scenario.size_octets,
                kept=scenario.kept,
                recipient=recipient,
                seconds=LIMIT_SECONDS,
            )
            for recipient, share in zip(lanes, shares, strict=True)
        ]
        for one in sent:
            one.result()
    return began, time.monotonic() - began


def _load(port: int, scenario: Scenario, letters: int, rate: float) -> Load:
    return Load(
        port,
        letters,
        scenario.recipients,
        rate=rate,
        sessions=SESSIONS,
        size_octets=scenario.size_octets,
        kept=scenario.kept,
        tls=scenario.submission,
        login=LOGIN if scenario.submission else "",
        password=PASSWORD,
        sender=scenario.sender,
    )
