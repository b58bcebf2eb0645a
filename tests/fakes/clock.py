"""FakeClock and FakeRandom: time that only moves when a test moves it, and chance that repeats."""

from __future__ import annotations

import hashlib
import random


class FakeClock:
    """`ports.clock.Clock`. `advance` moves both clocks; `jump` moves the wall clock alone, as an operator does."""

    def __init__(self, now: float = 1_767_225_600.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        assert seconds >= 0, "time passes forwards; use jump() for the wall clock"
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        self._now += seconds


class FakeRandom:
    """`ports.clock.Random` from a seed. `fraction` set: `uniform` always gives that part of the way, for exact
    tests."""

    def __init__(self, seed: int = 1, fraction: float | None = None) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self.fraction = fraction

    def uniform(self, low: float, high: float) -> float:
        if self.fraction is not None:
            return low + (high - low) * self.fraction
        return self._random.uniform(low, high)

    def token(self, octets: int) -> bytes:
        self._count += 1
        out, part = b"", 0
        while len(out) < octets:
            out += hashlib.sha256(f"{self._seed}/{self._count}/{part}".encode()).digest()
            part += 1
        return out[:octets]
