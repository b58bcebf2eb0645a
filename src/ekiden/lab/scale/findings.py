"""What was found, beside what was wanted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """`met` None: not measured, and `found` says why."""

    what: str
    found: str
    target: str
    met: bool | None


@dataclass
class Table:
    """How a cost grows. `note`: what limits it."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    note: str = ""


@dataclass
class Part:
    """What one part of the run came to."""

    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def render_findings(findings: Sequence[Finding]) -> list[str]:
    rows = [(one.what, one.found, one.target, _answer(one.met)) for one in findings]
    return columns(("", "found", "target", "met"), rows)


def render_table(table: Table) -> list[str]:
    return [table.title, *columns(table.head, table.rows), *([f"  {table.note}"] if table.note else [])]


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right, each as wide as its widest."""
    every = [head, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    return [
        "  " + "  ".join(_cell(text, width, place) for place, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in every
    ]


def _cell(text: str, width: int, place: int) -> str:
    return text.rjust(width) if place else text.ljust(width)


def _answer(met: bool | None) -> str:  # noqa: FBT001
    return "-" if met is None else "yes" if met else "NO"
