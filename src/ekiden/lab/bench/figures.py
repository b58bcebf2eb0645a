"""Medians and tables. Pure: figures in, lines out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ekiden.lab.pacing import Paced

#: What Ekiden is held to, end to end: so many times Postfix, or this share of what sender and sink reach alone.
TIMES_POSTFIX: Final = 5.0
SHARE_OF_TOOLS: Final = 0.6
CPU_SHARE: Final = 0.2

_HEAD: Final = (
    f"  {'':<11}{'runs':>5}{'letters':>9}{'accepted/s':>12}{'end to end/s':>14}{'CPU ms':>8}{'memory MB':>11}"
    f"{'250 median':>12}{'p99 ms':>9}{'late':>6}"
)


@dataclass(frozen=True)
class Figure:
    """One run. `accepted`, `arrived`: letters a second to the last 250, and to the last one at its end. `cpu_ms`: of
    the server, a letter. `memory`: the largest PSS of all its processes, octets."""

    letters: int
    accepted: float
    arrived: float
    cpu_ms: float = 0.0
    memory: int = 0


@dataclass
class Column:
    """All that was measured of one server in one scenario. `failed`: why nothing, or no more, was measured."""

    name: str
    runs: list[Figure] = field(default_factory=list)
    paced: list[Paced] = field(default_factory=list)
    failed: str = ""

    def median(self, of: Callable[[Figure], float]) -> float:
        return statistics.median(of(run) for run in self.runs)

    def median_paced(self, of: Callable[[Paced], float]) -> float:
        return statistics.median(of(paced) for paced in self.paced)


def table(columns: Sequence[Column]) -> list[str]:
    """A scenario's servers, one a line; those that did not run say why."""
    lines = [_HEAD]
    for column in columns:
        if column.runs:
            lines.append(_line(column))
        if column.failed:
            lines.append(f"  {column.name:<11}{column.failed}")
    return lines


def _line(column: Column) -> str:
    line = (
        f"  {column.name:<11}{len(column.runs):>5}{column.median(lambda r: r.letters):>9.0f}"
        f"{column.median(lambda r: r.accepted):>12.0f}{column.median(lambda r: r.arrived):>14.0f}"
    )
    if any(run.memory for run in column.runs):
        cpu, memory = column.median(lambda r: r.cpu_ms), column.median(lambda r: r.memory) / 1e6
        line += f"{cpu:>8.3f}{memory:>11.0f}"
    if column.paced:
        line += f"{column.median_paced(lambda p: p.median_ms):>12.1f}{column.median_paced(lambda p: p.p99_ms):>9.1f}"
        line += f"{column.median_paced(lambda p: p.late):>6.0%}"
    return line


def verdicts(ours: Column, postfix: Column | None, tools: Column | None, *, held: bool) -> list[str]:
    """How Ekiden stands to Postfix, as medians of pairs. `held`: the scenario has targets end to end."""
    if postfix is None or not postfix.runs or not ours.runs:
        return []
    pairs = list(zip(ours.runs, postfix.runs, strict=False))
    times = statistics.median(e.arrived / p.arrived for e, p in pairs)
    cpu = statistics.median(e.cpu_ms / p.cpu_ms for e, p in pairs if p.cpu_ms)
    lines = [f"  Ekiden : Postfix = {times:.1f} : 1 end to end; CPU a letter 1 : {1 / cpu:.1f}" if cpu else ""]
    if held:
        reached = times >= TIMES_POSTFIX
        wanted = f"at least {TIMES_POSTFIX:.0f} times Postfix end to end"
        if tools is not None and tools.runs:
            share = statistics.median(e.arrived / t.arrived for e, t in zip(ours.runs, tools.runs, strict=False))
            reached = reached or share >= SHARE_OF_TOOLS
            wanted += f", or {SHARE_OF_TOOLS:.0%} of the tools alone (it is {share:.0%})"
        lines.append(target(wanted, reached=reached))
        lines.append(target(f"CPU a letter at most {CPU_SHARE:.0%} of Postfix's ({cpu:.0%})", reached=cpu <= CPU_SHARE))
    if ours.paced and postfix.paced:
        mine, theirs = (c.median_paced(lambda p: p.p99_ms) for c in (ours, postfix))
        wanted = f"99th percentile of the time to 250 no worse than Postfix's ({mine:.1f} and {theirs:.1f} ms)"
        lines.append(target(wanted, reached=mine <= theirs))
    return lines


def target(wanted: str, *, reached: bool) -> str:
    return f"  target: {wanted}: {'yes' if reached else 'NO'}"


def marked(page: str, mark: str, lines: Sequence[str]) -> str:
    """`page` with `lines` between `<!-- MARK -->` and `<!-- /MARK -->`. Raises ValueError if it has no such place."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no {begin} and {end} in it")
    text = "\n".join(line.rstrip() for line in lines)
    return f"{head}{begin}\n```\n{text}\n```\n{end}{tail}"
