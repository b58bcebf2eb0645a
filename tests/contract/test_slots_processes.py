"""Slots and rates of a machine between real processes: hammered, and killed in the middle.

Each process counts itself in a page of memory that all share: up after it took a slot, down before it gives it back. A
byte of the page is only ever written by one process.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import struct
from collections.abc import Callable

import pytest

from ekiden.ports.slots import TOKEN_SECONDS
from ekiden.storage.machine.slots import MachineSlots

SITE = "mx.far.test"
PROCESSES = 4
GRANTS = struct.Struct("=dq")


def start(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def end(pid: int, *, kill: bool = False) -> None:
    if kill:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if kill else 0)


def wait_for(pipe: int) -> None:
    assert os.read(pipe, 1) == b"!"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_processes_that_hammer_never_exceed(tmp_path, limit) -> None:
    page = mmap.mmap(-1, mmap.PAGESIZE)

    async def hammer(number: int) -> None:
        slots = MachineSlots(tmp_path / "slots")
        page[PROCESSES + number] = 1
        while sum(page[PROCESSES : 2 * PROCESSES]) < PROCESSES:
            os.sched_yield()  # all begin together
        taken = 0
        for _ in range(1_000_000):
            slot = await slots.take(SITE, limit)
            if slot is None:
                continue
            page[number] = 1
            assert sum(page[:PROCESSES]) <= limit
            page[number] = 0
            slots.give(slot)
            taken += 1
            if taken == 1000:
                return
        raise AssertionError(f"only {taken} of 1000 takings came about")

    for pid in [start(lambda n=number: asyncio.run(hammer(n))) for number in range(PROCESSES)]:
        end(pid)


def test_the_kernel_gives_back_what_a_killed_process_held(tmp_path) -> None:
    ours, theirs = os.pipe()

    async def hold() -> None:
        slots = MachineSlots(tmp_path / "slots")
        assert all([await slots.take(SITE, 5) for _ in range(5)])
        os.write(theirs, b"!")
        signal.pause()

    async def count() -> int:
        slots = MachineSlots(tmp_path / "slots")
        taken = [await slots.take(SITE, 5) for _ in range(5)]
        slots.close()
        return sum(slot is not None for slot in taken)

    pid = start(lambda: asyncio.run(hold()))
    wait_for(ours)
    assert asyncio.run(count()) == 0
    end(pid, kill=True)
    assert asyncio.run(count()) == 5
    os.close(ours)
    os.close(theirs)


def test_processes_that_are_killed_while_they_spend_never_exceed_a_rate(tmp_path) -> None:
    """Time is a number in a shared page, which the parent moves on. Each grant is told by a write that is whole or not
    at all, with the time that the engine saw: what is killed in between is lost, never counted twice."""
    clock = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
    clock[0] = 1000.0
    per_minute = 120
    told, tell = os.pipe()
    os.set_blocking(told, False)

    async def spend() -> None:
        seen = [0.0]

        def now() -> float:
            seen[0] = clock[0]
            return seen[0]

        slots = MachineSlots(tmp_path / "slots", now)
        while True:
            grant = await slots.spend("rate", per_minute, 1)
            if grant.granted:
                os.write(tell, GRANTS.pack(seen[0], grant.granted))

    found: list[float] = []
    for _ in range(6):
        pids = [start(lambda: asyncio.run(spend())) for _ in range(2)]
        until = len(found) + 150
        while len(found) < until:
            clock[0] += 0.05
            try:
                octets = os.read(told, GRANTS.size * 64)
            except BlockingIOError:
                os.sched_yield()
                continue
            for when, granted in GRANTS.iter_unpack(octets):
                found += [when] * granted
        for pid in pids:
            end(pid, kill=True)
    found.sort()
    assert len(found) >= 900
    for index in range(len(found) - per_minute):
        assert found[index + per_minute] - found[index] > 60 + TOKEN_SECONDS
    os.close(told)
    os.close(tell)
