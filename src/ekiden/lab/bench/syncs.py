"""How often each server makes the disk sync: strace counts the calls of its whole tree in a short run of its own,
because it slows down what it watches."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ekiden.lab.bench.measure import LIMIT_SECONDS, WARM_LETTERS, send, started
from ekiden.lab.bench.peers import Peer
from ekiden.lab.bench.scenarios import Scenario
from ekiden.lab.processes import tree
from ekiden.lab.server import LabFailed

_CALLS: Final = ("fsync", "fdatasync", "sync_file_range", "msync", "sync", "syncfs")


@dataclass(frozen=True)
class Syncs:
    """`calls`: by name. `failed`: why there are none."""

    name: str
    letters: int
    calls: dict[str, int]
    failed: str = ""


def is_possible() -> str:
    return "" if shutil.which("strace") else "strace is missing (Debian package strace)"


def count(peer: Peer, scenario: Scenario, letters: int, folder: Path) -> Syncs:
    """Raises LabFailed."""
    report = folder.with_suffix(".strace")
    with started(peer, scenario, folder) as (running, arrivals):
        send(running.port, scenario, WARM_LETTERS)
        arrivals.wait_for(WARM_LETTERS, LIMIT_SECONDS)
        watched = [argument for pid in tree(running.pid) for argument in ("-p", str(pid))]
        command = ["strace", "-f", "-c", "-o", str(report), "-e", f"trace={','.join(_CALLS)}", *watched]
        watcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1.0)  # it attaches to one thread after the other
            if watcher.poll() is not None:
                raise LabFailed("strace may not watch here")
            send(running.port, scenario, letters)
            arrivals.wait_for(WARM_LETTERS + letters, LIMIT_SECONDS)
        finally:
            watcher.terminate()
            watcher.wait(30)
    try:
        return Syncs(peer.name, letters, parse_counts(report.read_text()))
    finally:
        report.unlink(missing_ok=True)


def parse_counts(summary: str) -> dict[str, int]:
    """Calls by name, out of the table that `strace -c` prints."""
    found: dict[str, int] = {}
    for line in summary.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[-1] in _CALLS:
            found[fields[-1]] = found.get(fields[-1], 0) + int(fields[3])
    return found


def sync_table(found: list[Syncs]) -> list[str]:
    lines = [f"  {'':<11}{'letters':>8}{'syncs':>8}{'a letter':>10}  calls"]
    for one in found:
        if one.failed:
            lines.append(f"  {one.name:<11}{one.failed}")
            continue
        total = sum(one.calls.values())
        calls = ", ".join(f"{name} {number}" for name, number in sorted(one.calls.items())) or "none"
        lines.append(f"  {one.name:<11}{one.letters:>8}{total:>8}{total / one.letters:>10.2f}  {calls}")
    return lines
