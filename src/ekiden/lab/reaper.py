"""Runs a program and buries its orphans, so that what they cost is counted where somebody looks.

    python -m ekiden.lab.reaper UID GID PROGRAM ARGUMENT...

A daemon whose processes outlive their parents (Exim forks a delivery and goes) loses them to init, with their CPU time.
This process becomes their next of kin (PR_SET_CHILD_SUBREAPER), waits for all of them, and has their times among its
own children's. UID -1: nobody changes. SIGTERM goes on to the program; it ends when the last process has ended, and
after a SIGTERM when the program has.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def main(arguments: list[str]) -> int:
    user, group, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    pid = os.fork()
    if pid == 0:
        if user >= 0:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
        os.execv(program[0], program)
    told: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        told.append(number)
        os.kill(pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    status = 0
    while True:
        try:
            ended, code = os.wait()
        except ChildProcessError:
            return status
        if ended == pid:
            status = os.waitstatus_to_exitcode(code)
            if told:
                return status


if __name__ == "__main__":
    sys.exit(max(0, main(sys.argv[1:])))
