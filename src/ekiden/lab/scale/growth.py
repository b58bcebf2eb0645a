"""What the size of a letter costs, from 1 KiB to 25 MiB."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from ekiden.lab.load import Sink, source
from ekiden.lab.processes import MemoryWatch, cpu_seconds
from ekiden.lab.scale.findings import Part, Table
from ekiden.lab.scale.resting import relaying

_SIZES: Final = (1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 5 << 20, 25 << 20)
#: Of one size, in all; and letters at most.
_OCTETS: Final = 400 << 20
_MOST: Final = 5000
_SESSIONS: Final = 20


def measure_letter_sizes(folder: Path) -> Part:
    """Relayed to a sink, 20 sessions, two workers."""
    sink = Sink()
    sink.start()
    server = relaying(folder / "letters", sink.port, workers=2)
    server.prepare()
    server.start()
    table = Table(
        "size of a letter, relayed, 20 kept sessions",
        ("size", "letters", "letters/s", "MB/s", "CPU ms", "CPU ms/MB", "memory MB"),
        note="Limits: CPU a letter up to 64 KiB; beyond that a file and a sync each, then the disk and copying.",
    )
    try:
        pid, done = server.process.pid if server.process is not None else 0, 0
        for size in _SIZES:
            letters = max(_SESSIONS, min(_MOST, _OCTETS // size))
            cpu, began = cpu_seconds(pid), time.monotonic()
            with MemoryWatch(pid, every=0.1) as watch:
                source(server.ports["relay"], letters, sessions=_SESSIONS, size_octets=size)
                done += letters
                seconds = sink.wait_for(done, 120) - began
            used, megabytes = (cpu_seconds(pid) - cpu) * 1000, letters * size / 1e6
            table.rows.append(
                (
                    f"{size >> 10:,} KiB",
                    f"{letters:,}",
                    f"{letters / seconds:.0f}",
                    f"{megabytes / seconds:.0f}",
                    f"{used / letters:.2f}",
                    f"{used / megabytes:.1f}",
                    f"{watch.peak / 1e6:.0f}",
                )
            )
        return Part(tables=[table])
    finally:
        server.stop()
        sink.stop()
