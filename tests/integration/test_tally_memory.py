"""What a million clients cost: memory, and how long an answer may take while they are written to disk."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ekiden.storage.machine.tally import MachineTally
from ekiden.storage.machine.tally_memory import TallyMemory

CLIENTS = 1_000_000
#: The goal: counters for a million clients stay under 100 MB.
MOST_KIB = 100_000
HOUR = 3600.0


def memory_kib() -> int:
    """Of this process, shared pages included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def measure(folder: Path, pipe: int) -> None:
    before = memory_kib()
    tally = MachineTally(folder / "guards", TallyMemory(1), 0)
    for number in range(CLIENTS):
        tally.add(f"client:{number}", HOUR)
    grown = memory_kib() - before
    kept = sum(tally.count(f"client:{number}", HOUR) for number in range(0, CLIENTS, 100))
    saving = threading.Thread(target=tally.snapshots.save)
    saving.start()
    slowest = 0.0
    while saving.is_alive():
        began = time.monotonic()
        tally.add("somebody", HOUR)
        slowest = max(slowest, time.monotonic() - began)
    saving.join()
    os.write(pipe, f"{grown} {kept} {slowest} {tally.snapshots.save()}".encode())


def test_a_million_clients(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            measure(tmp_path, writing)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    grown, kept, slowest, left = (float(word) for word in said.split())
    print(f"{grown / 1000:.0f} MB, {kept:.0f} of {CLIENTS // 100} kept, slowest answer {slowest * 1000:.1f} ms")
    assert grown < MOST_KIB
    assert kept >= CLIENTS // 100 * 0.995, "a few meet in a bucket that is full"
    assert slowest < 1, "a snapshot stalls nobody"
    assert left <= 1
