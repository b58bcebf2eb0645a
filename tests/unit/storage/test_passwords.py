"""Argon2Hasher: right and wrong, the same price for nobody, and a queue that ends."""

from __future__ import annotations

import asyncio
import os
import threading

import argon2
import pytest

from ekiden.ports.passwords import HasherBusy
from ekiden.storage import passwords
from ekiden.storage.passwords import Argon2Hasher


@pytest.fixture
def hasher():
    made = Argon2Hasher(threads=1, known=1, strangers=1, memory_kib=64, time_cost=1)
    yield made
    made.close()


class Held:
    """Makes the hasher's thread wait, so that a test can fill its queue."""

    def __init__(self, hasher: Argon2Hasher) -> None:
        self.gate, self.started = threading.Event(), threading.Event()
        self.real = hasher._matches
        self.count = 0
        hasher._matches = self.matches

    def matches(self, encoded: str, password: str) -> bool:
        self.started.set()
        self.count += 1
        assert self.gate.wait(30)
        return self.real(encoded, password)


async def test_verifies_what_it_hashed(hasher):
    encoded = await hasher.hash("pässwörd")
    assert encoded.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await hasher.verify(encoded, "pässwörd")
    assert not await hasher.verify(encoded, "password")
    assert encoded != await hasher.hash("pässwörd"), "each hash has its own salt"


@pytest.mark.parametrize("encoded", ["", "x", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$AAAA$BBBB", "{CRYPT}x"])
async def test_what_is_no_hash_matches_nothing(hasher, encoded):
    assert not await hasher.verify(encoded, "x")


async def test_takes_octets_that_are_no_text(hasher):
    assert not await hasher.verify(await hasher.hash("x"), "\udcff")


async def test_the_shipped_costs():
    hasher = Argon2Hasher()
    parameters = argon2.extract_parameters(await hasher.hash("x"))
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        argon2.Type.ID,
        19_456,
        2,
        1,
    )
    hasher.close()


async def test_nobody_costs_what_somebody_costs_and_never_matches(hasher):
    real = argon2.extract_parameters(await hasher.hash("x"))
    assert argon2.extract_parameters(hasher._nobody) == real
    assert await hasher.verify_nobody("x") is False
    # the hash is complete: argon2 says "no match", not "no hash"
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(hasher._nobody, "x")


async def test_one_too_many_is_told_at_once(hasher):
    encoded = await hasher.hash("x")
    held = Held(hasher)
    running = asyncio.ensure_future(hasher.verify(encoded, "x"))
    waiting = asyncio.ensure_future(hasher.verify_nobody("x"))
    await asyncio.sleep(0)
    for call in (hasher.verify(encoded, "x"), hasher.verify_nobody("x"), hasher.hash("x")):
        with pytest.raises(HasherBusy):
            await call
    stranger = asyncio.ensure_future(hasher.verify(encoded, "x", known=False))  # their places are others
    await asyncio.sleep(0)
    with pytest.raises(HasherBusy):
        await hasher.verify_nobody("x", known=False)
    held.gate.set()
    assert await asyncio.gather(running, waiting, stranger) == [True, False, True]
    assert await hasher.verify(encoded, "x")


async def test_who_is_known_comes_first():
    hasher = Argon2Hasher(threads=1, known=9, strangers=9, memory_kib=64, time_cost=1)
    encoded = await hasher.hash("x")
    held = Held(hasher)
    order = []

    async def check(name, known):
        await hasher.verify(encoded, "x", known=known)
        order.append(name)

    calls = [asyncio.ensure_future(check(*call)) for call in (("a", False), ("b", False), ("c", True), ("d", True))]
    await asyncio.sleep(0)
    held.gate.set()
    await asyncio.gather(*calls)
    assert order == ["a", "c", "d", "b"]
    hasher.close()


async def test_who_left_while_waiting_is_not_hashed(hasher):
    encoded = await hasher.hash("x")
    held = Held(hasher)
    calls = [asyncio.ensure_future(hasher.verify(encoded, "x", known=known)) for known in (True, False)]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.sleep(0)  # one turn of the loop: it has left before the thread is free
    held.gate.set()
    assert await calls[0]
    with pytest.raises(asyncio.CancelledError):
        await calls[1]
    assert await hasher.verify(encoded, "x", known=False)
    assert held.count == 2


async def test_a_check_that_breaks_tells_who_waits_and_gives_its_place_back(hasher):
    def broken(encoded: str, password: str) -> bool:
        raise MemoryError

    hasher._matches = broken
    with pytest.raises(MemoryError):
        await hasher.verify("x", "x")
    del hasher._matches
    assert not await hasher.verify("x", "x")
    assert hasher._places.taken == 0


async def test_its_threads_are_nice_to_the_rest(hasher):
    def niceness(encoded: str, password: str) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = os.getpriority(os.PRIO_PROCESS, 0)
    hasher._matches = niceness
    assert await hasher.verify("x", "x") > own


async def test_a_cancelled_caller_keeps_its_place_until_the_thread_is_done(hasher):
    encoded = await hasher.hash("x")
    held = Held(hasher)
    running = asyncio.ensure_future(hasher.verify(encoded, "x"))
    await asyncio.sleep(0)
    assert held.started.wait(30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert hasher._places.taken == 1
    held.gate.set()
    assert await hasher.verify(encoded, "x")
    assert hasher._places.taken == 0


async def test_closed_means_busy(hasher):
    hasher.close()
    with pytest.raises(HasherBusy):
        await hasher.verify("x", "x")
    assert hasher._places.taken == 0


async def test_closing_sends_away_who_waits(hasher):
    encoded = await hasher.hash("x")
    held = Held(hasher)
    calls = [asyncio.ensure_future(hasher.verify(encoded, "x", known=known)) for known in (True, False)]
    await asyncio.sleep(0)
    hasher.close()
    held.gate.set()
    assert await calls[0]
    with pytest.raises(asyncio.CancelledError):
        await calls[1]


def test_the_queue_is_bounded_by_default():
    assert passwords.STRANGERS == 100
    assert passwords.KNOWN <= 500
