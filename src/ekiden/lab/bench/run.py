"""The whole benchmark: servers in turn, scenario after scenario, within the time; then the tables.

Rules
1. Ekiden and Postfix run in pairs, and medians of pairs are compared; the others run once, in the first pair.
2. What goes wrong with another server is told in its line, and the run goes on; what goes wrong with Ekiden too.
3. When the time is up, no further pair begins, and the tables say how many there were.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ekiden.lab import load
from ekiden.lab.bench import figures, guards, logins, syncs
from ekiden.lab.bench.figures import Column
from ekiden.lab.bench.measure import Extent, at_rate, throughput, tools_alone
from ekiden.lab.bench.peers import Ekiden, Peer
from ekiden.lab.bench.rivals import Aiosmtpd, Exim, Postfix
from ekiden.lab.bench.scenarios import SCENARIOS, SESSIONS, Scenario
from ekiden.lab.bench.syncs import Syncs
from ekiden.lab.postfix import LabPostfix
from ekiden.lab.server import LabFailed

#: At a fixed rate when there is no Postfix to take half of.
_RATE_ALONE: Final = 200.0
_SYNC_LETTERS: Final = 1000
#: Of docs/performance.md.
MARK: Final = "bench"
#: What has targets end to end.
_HELD: Final = ("kept", "new")


@dataclass(frozen=True)
class Wanted:
    """`letters`: a run, 0 as many as `seconds` take. `minutes`: no pair begins later. `scenarios`, `peers`: by name,
    none means all. `write`: a page to put the tables into."""

    letters: int = 0
    seconds: float = 5.0
    pairs: int = 3
    workers: int = 2
    minutes: float = 14.0
    folder: str = ""
    scenarios: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    write: str = ""


def run_bench(wanted: Wanted) -> int:
    """Prints the tables. 0 if it ran; 1 if it cannot."""
    missing = load.is_possible()
    if missing:
        print(f"The benchmark needs {missing}.")
        return 1
    with tempfile.TemporaryDirectory(prefix="ekiden-bench-", dir=wanted.folder or None) as name:
        path = Path(name)
        path.chmod(0o755)
        kind = file_system(path)
        if kind in ("tmpfs", "ramfs"):
            print(f"{path} lies in memory ({kind}), where syncing costs nothing. Name a folder on a disk: --folder")
            return 1
        lines = [*machine(kind), "", *_Bench(wanted, path).run()]
    print("\n".join(lines))
    if wanted.write:
        page = Path(wanted.write)
        page.write_text(figures.marked(page.read_text(), MARK, lines))
    return 0


class _Bench:
    def __init__(self, wanted: Wanted, folder: Path) -> None:
        self._wanted = wanted
        self._folder = folder
        self._number = 0
        self._deadline = time.monotonic() + wanted.minutes * 60
        self._share = self._deadline  # of the scenario that is under way
        self._ekiden = Ekiden(wanted.workers)
        self._postfix = Postfix()
        every: list[Peer] = [self._ekiden, self._postfix, Exim(), Aiosmtpd()]
        self._peers = [p for p in every if not wanted.peers or p.name.lower() in wanted.peers]
        self._scenarios = [s for s in SCENARIOS if not wanted.scenarios or s.name in wanted.scenarios]

    def run(self) -> list[str]:
        wanted = self._wanted
        extent = f"{wanted.letters} letters" if wanted.letters else f"letters for about {wanted.seconds:.0f} s"
        lines = [
            f"Ekiden workers: {wanted.workers}; {SESSIONS} sessions; {extent} a run, medians of the runs",
            "time to 250: from the final dot, at a fixed rate of half of Postfix's end to end; memory: largest PSS",
            "",
        ]
        with _progress() as progress:
            task = progress.add_task("", total=self._steps())

            def step(text: str) -> None:
                progress.update(task, description=text, advance=1)

            for number, scenario in enumerate(self._scenarios):
                now = time.monotonic()
                self._share = now + (self._deadline - now) / (len(self._scenarios) - number)
                lines += [scenario.title, *self._scenario(scenario, step), ""]
            for title, text, measure in self._ours():
                step(text)
                lines += [title, *self._alone(measure), ""]
            lines += ["syncs, 4 KiB, kept connections, watched by strace", *self._syncs(step), ""]
        for peer in self._peers:
            lines += textwrap.wrap(peer.remark, 116)
        if self._postfix in self._peers and not LabPostfix.is_possible():
            lines += ["", "Postfix's main.cf (kept and new connections):", *_main_cf()]
        return lines

    def _steps(self) -> int:
        paired = sum(peer in (self._ekiden, self._postfix) for peer in self._peers)
        once = len(self._peers) - paired
        runs = self._wanted.pairs * paired * 2 + once * 2 + self._wanted.pairs
        return len(self._scenarios) * runs + len(self._peers) + 2

    def _scenario(self, scenario: Scenario, step: Callable[[str], None]) -> list[str]:
        columns = {peer.name: Column(peer.name, failed=peer.why_not(scenario)) for peer in self._peers}
        tools = Column("tools alone")
        self._fast(scenario, columns, tools, step)
        rate = self._rate(columns)
        self._paced(scenario, columns, rate, step)
        lines = figures.table([*([tools] if tools.runs else []), *columns.values()])
        if any(column.paced for column in columns.values()):
            lines.append(f"  time to 250 at {rate:.0f} letters a second")
        ours, theirs = columns.get(self._ekiden.name), columns.get(self._postfix.name)
        if ours is not None:
            lines += figures.verdicts(ours, theirs, tools, held=scenario.name in _HELD)
        return lines

    def _fast(self, scenario: Scenario, columns: dict[str, Column], tools: Column, step: Callable[[str], None]) -> None:
        extent = Extent(self._wanted.letters, self._wanted.seconds)
        for pair in self._pairs():
            if not scenario.submission and not scenario.inbound:
                step(f"{scenario.title} · sender and sink alone")
                tools.runs.append(tools_alone(scenario, extent))
            for peer in self._due(columns, pair):
                step(f"{scenario.title} · {peer.name} · {pair + 1} of {self._wanted.pairs}")
                with _told_in(columns[peer.name]) as column:
                    column.runs.append(throughput(peer, scenario, extent, self._fresh()))

    def _paced(self, scenario: Scenario, columns: dict[str, Column], rate: float, step: Callable[[str], None]) -> None:
        for pair in self._pairs():
            for peer in self._due(columns, pair):
                step(f"{scenario.title} · {peer.name} at {rate:.0f} a second · {pair + 1} of {self._wanted.pairs}")
                with _told_in(columns[peer.name]) as column:
                    column.paced.append(at_rate(peer, scenario, rate, self._wanted.seconds, self._fresh()))

    def _pairs(self) -> Iterator[int]:
        """Rule 3."""
        for pair in range(self._wanted.pairs):
            if pair and time.monotonic() > self._share:
                return
            yield pair

    def _due(self, columns: dict[str, Column], pair: int) -> Sequence[Peer]:
        """Rule 1, without those that failed."""
        paired = (self._ekiden, self._postfix)
        return [p for p in self._peers if not columns[p.name].failed and (pair == 0 or p in paired)]

    def _rate(self, columns: dict[str, Column]) -> float:
        """Half of Postfix's."""
        theirs = columns.get(self._postfix.name)
        return theirs.median(lambda r: r.arrived) / 2 if theirs is not None and theirs.runs else _RATE_ALONE

    def _ours(self) -> Iterator[tuple[str, str, Callable[[int, float, Path], list[str]]]]:
        """What is measured of Ekiden alone: title, what is told meanwhile, and how."""
        if self._ekiden not in self._peers:
            return
        for title, text, measure in (
            (logins.TITLE, "logins, and a storm of wrong ones", logins.login_lines),
            (guards.TITLE, "guards, and floods from many addresses", guards.guard_lines),
        ):
            if not self._wanted.scenarios or title in self._wanted.scenarios:
                yield title, text, measure

    def _alone(self, measure: Callable[[int, float, Path], list[str]]) -> list[str]:
        try:
            return measure(self._wanted.workers, max(2.0, self._wanted.seconds * 2), self._fresh())
        except (LabFailed, OSError, subprocess.SubprocessError) as error:
            return [f"  failed: {error}"]

    def _syncs(self, step: Callable[[str], None]) -> list[str]:
        why_not = syncs.is_possible()
        if why_not:
            return [f"  not counted: {why_not}"]
        found = []
        letters = min(_SYNC_LETTERS, self._wanted.letters or _SYNC_LETTERS)
        for peer in self._peers:
            step(f"syncs · {peer.name}")
            failed = peer.why_not(SCENARIOS[0])
            if not failed:
                try:
                    found.append(syncs.count(peer, SCENARIOS[0], letters, self._fresh()))
                    continue
                except (LabFailed, OSError, subprocess.SubprocessError) as error:
                    failed = f"failed: {error}"
            found.append(Syncs(peer.name, 0, {}, failed))
        return syncs.sync_table(found)

    def _fresh(self) -> Path:
        self._number += 1
        return self._folder / f"run{self._number}"


@contextlib.contextmanager
def _told_in(column: Column) -> Iterator[Column]:
    """Rule 2."""
    try:
        yield column
    except (LabFailed, OSError, subprocess.SubprocessError) as error:
        column.failed = f"failed: {str(error).strip().replace(chr(10), ' ')[:200]}"


def machine(kind: str) -> list[str]:
    """What it ran on, and when."""
    today = datetime.datetime.now(datetime.UTC).date()
    cores = len(os.sched_getaffinity(0))
    system = f"Linux {platform.release()}, {kind}, Python {platform.python_version()}"
    return [f"{today}: {_processor()}, {cores} cores, {system}"]


def file_system(path: Path) -> str:
    done = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _main_cf() -> list[str]:
    text = LabPostfix(Path("/FOLDER"), {"sink.test": 2525}).main_cf()
    return [f"  {line}" for line in text.splitlines() if line.strip()]


def _progress() -> Progress:
    """On the screen's other channel, so that the tables can be kept in a file."""
    columns = (
        BarColumn(24),
        TimeElapsedColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} {task.description}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
