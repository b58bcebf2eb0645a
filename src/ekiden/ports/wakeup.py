"""Wakeup: telling the other workers that there is something to look for.

Called by delivery. An engine may tell more than was rung, and late, but never loses the last ring: who is told looks
after whatever was done before the ring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Wakeup(Protocol):
    def ring(self) -> None:
        """To all other workers: legs became due, or a slot became free. Never waits, never fails; many rings of one
        turn of the loop become one."""

    def on_ring(self, callback: Callable[[], None]) -> None:
        """`callback` is called on the loop when others rang; one for all rings that came since. Replaces the one
        before."""
