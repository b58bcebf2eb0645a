"""`ekiden bench --scale`: part after part, each on a server of its own; what could not be measured says why."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from ekiden.lab import load
from ekiden.lab.bench import figures
from ekiden.lab.bench.run import file_system, machine
from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.scale.backlog import measure_backlog
from ekiden.lab.scale.findings import Finding, Part, render_findings, render_table
from ekiden.lab.scale.growth import measure_letter_sizes
from ekiden.lab.scale.resting import measure_large_letter, measure_resting
from ekiden.lab.scale.silent import measure_silent, measure_sites
from ekiden.lab.server import LabFailed

PARTS: Final = ("resting", "large", "silent", "sites", "sizes", "backlog")
#: Of docs/performance.md.
MARK: Final = "bench-scale"


@dataclass(frozen=True)
class ScaleWanted:
    """`queued`: the largest backlog. `parts`: by name, none means all. `minutes`: no part begins later."""

    queued: int = 1_000_000
    parts: tuple[str, ...] = ()
    minutes: float = 25.0
    folder: str = ""
    write: str = ""


def run_scale(wanted: ScaleWanted) -> int:
    """Prints the tables. 0 if every target was met; 1 if not, or if it cannot run."""
    missing = load.is_possible()
    if missing:
        print(f"The benchmark needs {missing}.")
        return 1
    with tempfile.TemporaryDirectory(prefix="ekiden-scale-", dir=wanted.folder or None) as name:
        path = Path(name)
        kind = file_system(path)
        found = _run(wanted, path)
    lines = [*machine(kind), "", *render_findings(found.findings)]
    for table in found.tables:
        lines += ["", *render_table(table)]
    print("\n".join(lines))
    if wanted.write:
        page = Path(wanted.write)
        page.write_text(figures.marked(page.read_text(), MARK, lines))
    return int(any(one.met is False for one in found.findings))


def _run(wanted: ScaleWanted, folder: Path) -> Part:
    no_names = LabNameServer.is_possible()
    measures: dict[str, tuple[Callable[[], Part], str]] = {
        "resting": (lambda: measure_resting(folder), ""),
        "large": (lambda: measure_large_letter(folder), ""),
        "silent": (lambda: measure_silent(folder), no_names),
        "sites": (lambda: measure_sites(folder), no_names),
        "sizes": (lambda: measure_letter_sizes(folder), ""),
        "backlog": (lambda: measure_backlog(folder, wanted.queued), ""),
    }
    whole, deadline = Part(), time.monotonic() + wanted.minutes * 60
    screen = Console(stderr=True)
    with screen.status("") as status:
        for name in PARTS:
            if wanted.parts and name not in wanted.parts:
                continue
            measure, why_not = measures[name]
            status.update(name)
            one = _part(name, measure, why_not or ("the time was up" if time.monotonic() > deadline else ""))
            whole.findings += one.findings
            whole.tables += one.tables
    return whole


def _part(name: str, measure: Callable[[], Part], why_not: str) -> Part:
    if not why_not:
        try:
            return measure()
        except (LabFailed, OSError, subprocess.SubprocessError) as error:
            why_not = f"failed: {str(error).strip().replace(chr(10), ' ')[:100]}"
    return Part([Finding(name, why_not, "", None)])
