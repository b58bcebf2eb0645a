"""kill -9 of the whole process group at random moments under load; then every acknowledged letter must be at the sink.

    .venv/bin/python tools/kill_test.py --kills 20 --letters 20000

Exit status 1 if a letter is lost, or more came twice than were in flight. Talks to 127.0.0.1 alone; ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from ekiden.lab.killing import Plan, judge, run_kill_test
from ekiden.lab.server import LabFailed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    plan = Plan(chosen.kills, chosen.letters, chosen.sessions, chosen.workers, seed=chosen.seed)
    with tempfile.TemporaryDirectory(prefix="ekiden-kill-") as folder:
        try:
            account = asyncio.run(run_kill_test(Path(folder) / "server", plan))
            print(account.render())
            judge(account)
        except LabFailed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    print("nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
