"""How long steering takes on a large queue, and how much memory: fills a spool, then runs each command once.

    python tools/steer_scale.py /var/tmp/spool-scale            # a million letters, to 10,000 next hops
    python tools/steer_scale.py /var/tmp/spool-scale 100000

The folder must not exist; it is left behind, to be looked at. Rows are written directly, beside the spool's two doors:
only for measuring. Each command is a process of its own, as a person runs it; memory is its largest resident set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import apsw
import msgspec

from ekiden.app.clock import SystemClock
from ekiden.app.config_file import load
from ekiden.app.stores import SPOOL_FILE, SPOOL_FOLDER, open_spool
from ekiden.model.envelope import Envelope, Origin, Recipient
from ekiden.model.ids import first_id

HOPS: Final = 10_000
#: Days over which the letters came.
DAYS: Final = 4
CONTENT: Final = b"Subject: measured\r\n\r\n" + b"x" * 60 + b"\r\n"

COMMANDS: Final = (
    "queue list",
    "queue list --site d77.test",
    "queue list --sender u99999@a7.test",
    "queue list --error greylisted",
    "queue list --older-than 95h --limit 10",
    "queue list --newer-than 1h --state held",
    "queue shape",
    "queue hold --all --site d77.test",
    "queue hold --all",
    "queue release --all",
    "queue retry --all --older-than 48h",
    "queue suspend d77.test --for 2h",
    "queue suspensions",
    "queue reroute --all --site d77.test --to smtp://192.0.2.1",
    "queue reroute --all --to smtp://192.0.2.2",
    "queue reroute --all --to mx",
    "queue bounce --all --site d78.test",
    "queue remove --all --domain d79.test",
    "queue remove --all --older-than 92h",
)


def fill(folder: Path, letters: int) -> None:
    """One leg a letter; every hundredth was greylisted."""
    encode = msgspec.msgpack.encode
    now = time.time()
    connection = apsw.Connection(str(folder / "data" / SPOOL_FOLDER / SPOOL_FILE))
    connection.execute("BEGIN IMMEDIATE")
    for number in range(letters):
        arrived = now - DAYS * 86400 * (1 - number / letters)
        letter = first_id(arrived) | number & 0xFFF
        hop = number % HOPS
        error = "451 4.7.1 Greylisted, try again later" if number % 100 == 3 else "450 4.4.1 no answer"
        envelope = Envelope(
            f"u{number}@a{number % 50}.test", arrived, Origin(door="relay", client="192.0.2.1"), len(CONTENT), 21
        )
        connection.execute("INSERT INTO letter VALUES (?, 1, ?)", (letter, encode(envelope)))
        connection.execute("INSERT INTO content VALUES (?, ?)", (letter, CONTENT))
        connection.execute(
            "INSERT INTO leg VALUES (?, 0, ?, ?, 0, 3, ?, NULL, '', ?)",
            (
                letter,
                f"mx:d{hop}.test",
                f"a{number % 50}.test",
                now + number % 14400,
                encode([Recipient(f"to@d{hop}.test", last_error=error)]),
            ),
        )
    connection.execute("COMMIT")
    connection.close()


def measure(folder: Path, command: str) -> None:
    before = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "ekiden", *command.split()], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    assert process.stdout is not None
    said = process.stdout.read().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - before
    print(f"{command:45} {seconds:7.1f} s {usage.ru_maxrss // 1024:5} MiB  {said[-1] if said else status}", flush=True)


def main() -> None:
    folder = Path(sys.argv[1])
    letters = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder.mkdir()
    (folder / "ekiden.toml").write_text('hostname = "mail.example.test"\ndata_dir = "data"\n[log]\nfile = "log.json"\n')

    async def make() -> None:
        await open_spool(load(str(folder / "ekiden.toml")), SystemClock()).close()

    import asyncio

    asyncio.run(make())
    fill(folder, letters)
    print(f"{letters} letters, {os.path.getsize(folder / 'data' / SPOOL_FOLDER / SPOOL_FILE) >> 20} MiB")
    for command in COMMANDS:
        measure(folder, command)


if __name__ == "__main__":
    main()
