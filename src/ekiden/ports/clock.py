"""Clock and Random: where time and chance come from in grades A and B."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Wall clock, seconds since 1970. May jump; only for stamps, dates and the queue's `next_attempt`."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never jumps. For every deadline and duration."""


class Random(Protocol):
    def uniform(self, low: float, high: float) -> float:
        """For jitter. Not for secrets."""

    def token(self, octets: int) -> bytes:
        """Unpredictable octets, for salts, boundaries and incident ids."""
