"""What a server costs: CPU time and memory of a process and all of its descendants, read from /proc.

Memory is PSS, the proportional set size: a page that n processes share counts 1/n in each, so that the sum over a tree
is what the machine would get back. Postfix's hundred small processes and Ekiden's three large ones compare fairly so.
Page cache and the kernel's socket buffers are in nobody's PSS.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants, `pid` first."""
    children: dict[int, list[int]] = {}
    for one, fields in _stats():
        children.setdefault(int(fields[1]), []).append(one)
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, []))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its living descendants, and those of them that have ended and were waited for."""
    times = {one: sum(int(t) for t in fields[11:15]) / _TICKS for one, fields in _stats()}
    return sum(times.get(one, 0.0) for one in tree(pid))


def pss_octets(pid: int) -> int:
    """Memory of the whole tree."""
    return sum(_pss(one) for one in tree(pid))


class MemoryWatch:
    """The tree's largest PSS between `with` and its end, looked at every `every` seconds by a thread.

    One look costs about a tenth of a millisecond for each process; a peak between two looks is missed."""

    def __init__(self, pid: int, every: float = 0.5) -> None:
        self.peak = 0
        self._pid = pid
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, pss_octets(self._pid))
            if self._over.wait(self._every):
                self.peak = max(self.peak, pss_octets(self._pid))
                return


def parse_pss(text: str) -> int:
    """Octets, out of smaps_rollup."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _pss(pid: int) -> int:
    try:
        return parse_pss((_PROC / str(pid) / "smaps_rollup").read_text())
    except OSError:
        return 0  # it ended while we looked


def _stats() -> Iterator[tuple[int, list[str]]]:
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
