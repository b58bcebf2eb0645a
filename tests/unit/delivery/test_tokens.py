"""Tokens of a rate: taken in batches, forgotten when they are not used soon."""

from __future__ import annotations

import asyncio

from ekiden.delivery.faults import Faults, Tasks
from ekiden.delivery.tokens import Tokens
from ekiden.ports.slots import TOKEN_SECONDS
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.slots import FakeSlots


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_tokens_are_asked_for_once_used_one_by_one_and_forgotten() -> None:
    clock = FakeClock()
    faults = Faults(CollectingSink(), clock, FakeRandom(fraction=0.5))
    slots, ready = FakeSlots(clock), []
    tokens = Tokens("letters x", 120, slots, clock, Tasks(faults), faults, lambda: ready.append(1))
    assert not tokens.use(10)
    assert not tokens.use(10)
    await turn()
    assert ready == [1]
    assert tokens.use(10)
    clock.advance(TOKEN_SECONDS)
    assert not tokens.use(10)  # too old: whoever counts a minute has given up on it
    await turn()
    slots.failing = True
    while tokens.use(10):
        pass
    clock.advance(TOKEN_SECONDS)
    tokens.use(10)
    await turn()
    assert not tokens.use(10)
