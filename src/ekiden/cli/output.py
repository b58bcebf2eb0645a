"""How commands print: aligned tables, times, sizes, JSON. Text from outside is made harmless first.

Rules
1. What strangers wrote (paths, replies of other servers) may hold terminal control sequences: `safe` shows them as
   `\\x1b`, and every table cell goes through it.
2. Times are shown in the local zone for people, and as RFC 3339 in UTC for programs.
3. Alignment counts columns, not characters: 駅伝 takes four.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Sequence
from typing import Any

import click


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Lines with two blanks between the columns. `right`: columns (from 0) that are aligned to the right."""
    cells = [[safe(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        padded = [_pad(cell, widths[n], right=n in right) for n, cell in enumerate(row)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def with_reasons(
    headers: Sequence[str], rows: Sequence[Sequence[str]], reasons: Sequence[str], right: frozenset[int]
) -> str:
    """A table; under each row its reason, if it has one."""
    head, *lines = table(headers, rows, right=right).splitlines()
    out = [head]
    for line, reason in zip(lines, reasons, strict=True):
        out.append(line)
        if reason:
            out.append(f"    {safe(reason)}")
    return "\n".join(out)


def echo_json(value: Any) -> None:
    """One JSON value, indented, in UTF-8."""
    from ekiden.model.printable import escape_json

    click.echo(escape_json(json.dumps(value, indent=2, ensure_ascii=False)))


def safe(text: str) -> str:
    """Without control characters, and without the ones that turn the direction of a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def local_time(seconds: float) -> str:
    """`2026-11-22 16:30:05` in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def utc_time(seconds: float | None) -> str | None:
    """`2026-11-22T15:30:05Z` (RFC 3339), for programs."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def span(seconds: float) -> str:
    """`40s`, `12m`, `3h`, `5d`: the largest unit that says enough."""
    seconds = max(seconds, 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "m" and seconds >= size):
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def size(octets: int) -> str:
    """`812 B`, `4.2 KiB`, `1.5 MiB`."""
    amount = float(octets)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{octets} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def count(number: int, one: str, many: str = "") -> str:
    """`1 letter`, `3 letters`, `no letters`."""
    word = one if number == 1 else many or f"{one}s"
    return f"{number or 'no'} {word}"


def _escaped(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks
