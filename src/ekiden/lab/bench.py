"""The benchmark: Ekiden and Postfix carry the same letters in the same run, in turn, on the same file system.

4 KiB letters over 50 sessions come in on port 25's counterpart and go out to a sink; each letter is durable before its
250. What counts is end to end: from the first connection to the last letter at the sink. Sender and sink alone, with
nothing between, show what the tools themselves allow. Only ratios of the same run mean something: machines differ, and
so do their neighbours.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ekiden.lab import load
from ekiden.lab.load import Sink, source
from ekiden.lab.postfix import LabPostfix
from ekiden.lab.processes import cpu_seconds
from ekiden.lab.server import LabServer

SESSIONS: Final = 50
SIZE_OCTETS: Final = 4096
#: End to end, one run.
LIMIT_SECONDS: Final = 240.0


@dataclass(frozen=True)
class Figure:
    """One run. `accepted`, `relayed`: letters a second, to the last 250 and to the last letter at the sink.
    `cpu_ms`: CPU of the server a letter, 0 where there is none."""

    accepted: float
    relayed: float
    cpu_ms: float


@dataclass(frozen=True)
class Setup:
    letters: int
    pairs: int
    workers: int
    folder: Path


Run = Callable[[int], Figure]


def run_bench(*, letters: int, pairs: int, workers: int, folder: str = "") -> int:
    """Prints the table. 0 if it ran; 1 if the tools are missing."""
    missing = load.is_possible()
    if missing:
        print(f"The benchmark needs {missing}.")
        return 1
    with tempfile.TemporaryDirectory(prefix="ekiden-bench-", dir=folder or None) as name:
        path = Path(name)
        path.chmod(0o755)
        kind = _file_system(path)
        if kind in ("tmpfs", "ramfs"):
            print(f"{path} lies in memory ({kind}), where syncing costs nothing. Name a folder on a disk: --folder")
            return 1
        return _run(Setup(letters, pairs, workers, path), kind)


def _run(setup: Setup, kind: str) -> int:
    print(f"{platform.machine()}, {_cores()} cores, Linux {platform.release()}, {kind}")
    print(f"Ekiden workers: {setup.workers}")
    print(f"{setup.letters} letters of {SIZE_OCTETS} octets, {SESSIONS} sessions, {setup.pairs} runs each, in turn\n")
    why_not = LabPostfix.is_possible()
    for kept in (True, False):
        runs: dict[str, Run] = {
            "tools alone": partial(_tools, setup, kept=kept),
            "Ekiden": partial(_ekiden, setup, kept=kept),
        }
        if not why_not:
            runs["Postfix"] = partial(_postfix, setup, kept=kept)
        print(f"{'kept connections' if kept else 'a new connection a letter'}")
        _table(setup, runs)
    if why_not:
        print(f"Without Postfix: {why_not}.")
    return 0


def _table(setup: Setup, runs: dict[str, Run]) -> None:
    figures: dict[str, list[Figure]] = {name: [] for name in runs}
    for number in range(setup.pairs):
        for name, run in runs.items():
            figures[name].append(run(number))
    print(f"  {'':<12}{'accepted/s':>12}{'end to end/s':>14}{'CPU ms/letter':>15}")
    for name, found in figures.items():
        accepted = statistics.median(f.accepted for f in found)
        relayed = statistics.median(f.relayed for f in found)
        cpu = statistics.median(f.cpu_ms for f in found)
        print(f"  {name:<12}{accepted:>12.0f}{relayed:>14.0f}{cpu:>15.3f}")
    if "Postfix" in figures:
        pairs = list(zip(figures["Ekiden"], figures["Postfix"], strict=True))
        ratio = statistics.median(e.relayed / p.relayed for e, p in pairs)
        cpu = statistics.median(p.cpu_ms / e.cpu_ms for e, p in pairs if e.cpu_ms)
        print(f"  Ekiden : Postfix = {ratio:.1f} : 1 end to end (median of pairs); CPU a letter 1 : {cpu:.1f}")
    print()


def _tools(setup: Setup, number: int, *, kept: bool) -> Figure:
    sink = Sink()
    sink.start()
    try:
        rate = setup.letters / source(sink.port, setup.letters, sessions=SESSIONS, size_octets=SIZE_OCTETS, kept=kept)
    finally:
        sink.stop()
    return Figure(rate, rate, 0.0)


def _ekiden(setup: Setup, number: int, *, kept: bool) -> Figure:
    sink = Sink()
    server = LabServer(
        setup.folder / f"ekiden-{number}-{kept}",
        "bench.test",
        workers=setup.workers,
        extra='relay = { trusted_networks = ["127.0.0.1/32"] }',
        tables=f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{sink.port}"\ntls = "none"\n',
    )
    server.prepare()
    server.start()
    try:
        assert server.process is not None
        return _measure(setup, sink, server.ports["relay"], server.process.pid, kept=kept)
    finally:
        server.stop()


def _postfix(setup: Setup, number: int, *, kept: bool) -> Figure:
    sink = Sink()
    postfix = LabPostfix(setup.folder / f"postfix-{number}-{kept}", {"sink.test": sink.port})
    postfix.start()
    pid = postfix.master_pid()
    try:
        return _measure(setup, sink, postfix.port, pid, kept=kept)
    finally:
        postfix.stop()


def _measure(setup: Setup, sink: Sink, port: int, pid: int, *, kept: bool) -> Figure:
    sink.start()
    try:
        source(port, SESSIONS, sessions=SESSIONS, size_octets=SIZE_OCTETS)  # warm up: processes started, files made
        sink.wait_for(SESSIONS, LIMIT_SECONDS)
        cpu = cpu_seconds(pid)
        began = time.monotonic()
        taken = source(port, setup.letters, sessions=SESSIONS, size_octets=SIZE_OCTETS, kept=kept)
        arrived = sink.wait_for(SESSIONS + setup.letters, LIMIT_SECONDS) - began
        used = cpu_seconds(pid) - cpu
    finally:
        sink.stop()
    return Figure(setup.letters / taken, setup.letters / arrived, used * 1000 / setup.letters)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _file_system(path: Path) -> str:
    done = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=False)
    return done.stdout.strip()
