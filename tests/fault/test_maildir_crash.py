"""kill -9 before each step that a delivery into a Maildir takes on the disk: the next attempt makes it good.

A child delivers one letter and kills itself at the N-th system call of the steps in `deposit`. Whatever N is, after
the next attempt the letter is there exactly once and whole, and nothing is left in tmp. If the child got as far as to
report success, it was there already.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ekiden.model.ids import LetterId
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent
from tests.contract.test_mailboxes import fetched
from tests.fakes.clock import FakeClock

ALICE = "alice@example.test"
LETTER = LetterId(1 << 45)
SIZES = {"small": 5_000, "large": 200_000}
#: More than a delivery has steps; the last runs must come through.
STEPS = 16

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from ekiden.app.clock import SystemClock
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent

root, last, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
steps = 0

def killing(call):
    def wrapped(*args, **kwargs):
        global steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapped

async def main():
    boxes = MaildirMailboxes(root, SystemClock())
    await (await boxes.open_maildrop("alice@example.test")).close()
    for name in ("open", "write", "fsync", "fdatasync", "link", "unlink", "mkdir", "rename"):
        setattr(os, name, killing(getattr(os, name)))
    await boxes.deliver("alice@example.test", 1 << 45, "alice@example.test", b"Return-Path: <>\\r\\n",
                        MemoryContent(b"x" * size + b"\\r\\n"))
    print("delivered", steps, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("moved", [False, True], ids=["", "moved"])
async def test_killed_at_every_step(tmp_path: Path, size: str, moved: bool) -> None:
    octets = b"x" * SIZES[size] + b"\r\n"
    finished = 0
    for step in range(1, STEPS + 1) if size == "small" else range(2, STEPS + 5, 2):
        root = tmp_path / str(step)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(root), str(step), str(SIZES[size])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        boxes = MaildirMailboxes(root, FakeClock())
        maildir = boxes.maildir(ALICE)
        if child.stdout:
            assert len(list(maildir.glob("new/*"))) == 1
            finished += 1
        else:
            assert child.returncode == -9, child.stderr
        if moved:
            for path in maildir.glob("new/*"):
                path.rename(maildir / "cur" / (path.name + ":2,S"))
        await boxes.deliver(ALICE, LETTER, ALICE, b"Return-Path: <>\r\n", MemoryContent(octets))
        assert await fetched(boxes) == [b"Return-Path: <>\r\n" + octets], f"killed before step {step}"
        assert not list(maildir.glob("tmp/*"))
        await boxes.close()
    assert 0 < finished < STEPS / 3  # else the steps were not all tried
