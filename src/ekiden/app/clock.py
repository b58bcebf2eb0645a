"""SystemClock and SystemRandom: the ports `Clock` and `Random` over the operating system. Called by `app.compose`."""

from __future__ import annotations

import os
import random
import time


class SystemClock:
    """The methods are the C functions themselves: the hot path asks for the time once a letter."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class SystemRandom:
    """`uniform` from a generator of this process's own (forked workers must not share one); `token` from the kernel."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, octets: int) -> bytes:
        return os.urandom(octets)
