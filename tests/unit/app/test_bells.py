"""Bells between workers: coalesced, across a fork, never lost."""

from __future__ import annotations

import asyncio
import os

import pytest

from ekiden.app.bells import Bells, WorkerBell


@pytest.fixture
def bells():
    bells = Bells(3)
    yield bells
    bells.close()


class Ear:
    def __init__(self, bell: WorkerBell) -> None:
        self.heard = 0
        self.changed = asyncio.Event()
        bell.on_ring(self.hear)

    def hear(self) -> None:
        self.heard += 1
        self.changed.set()


async def test_a_ring_reaches_all_others_and_many_become_one(bells: Bells) -> None:
    workers = [WorkerBell(*bells.of(number)) for number in range(3)]
    ears = [Ear(worker) for worker in workers]
    for _ in range(100):
        workers[0].ring()
    await ears[1].changed.wait()
    await ears[2].changed.wait()
    assert [ear.heard for ear in ears] == [0, 1, 1]
    ears[1].changed.clear()
    workers[2].ring()
    await ears[1].changed.wait()
    assert [ear.heard for ear in ears] == [1, 2, 1]
    for worker in workers:
        worker.close()


async def test_what_was_rung_before_anybody_listened_is_heard(bells: Bells) -> None:
    child = os.fork()
    if not child:
        for bell in bells.of(2)[1]:
            os.eventfd_write(bell, 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    worker = WorkerBell(*bells.of(0))
    ear = Ear(worker)
    await ear.changed.wait()
    worker.close()


async def test_closing_says_what_is_still_to_be_said(bells: Bells) -> None:
    first, second = WorkerBell(*bells.of(0)), WorkerBell(*bells.of(1))
    ear = Ear(second)
    first.ring()
    first.close()
    await ear.changed.wait()
    second.close()
    first.ring()
    await asyncio.sleep(0)
    assert ear.heard == 1


async def test_one_worker_alone_rings_nobody() -> None:
    bells = Bells(1)
    bell = WorkerBell(*bells.of(0))
    ear = Ear(bell)
    bell.ring()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ear.heard == 0
    bell.close()
    bells.close()
