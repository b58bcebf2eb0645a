"""The window: what one worker holds in memory for delivery, over a backlog that may be a million letters.

Rules
1. Bounded in legs and in octets. Past either bound letters stay in the store, due at once, and are claimed when there
   is room again: memory does not grow with the backlog.
2. Born claimed (DESIGN §4): a session asks `has_room(size)`, accepts with `claim=True` if so, and hands the claims over
   with `offer`, synchronously: no task, no read of the store. Without room it accepts with `claim=False` and calls
   `nudge`.
3. Sessions that asked before others offered may carry the window past its bound, by what is being accepted in one group
   commit and no more: the bound is for memory, not a promise to anybody.
4. A letter's octets are counted once, however many legs it has; of a large one only what passes through memory at a
   time.

Called by session (`has_room`, `offer`, `nudge`) and by delivery, which attaches itself as the consumer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ekiden.model.ids import LetterId
from ekiden.ports.spool import Claim

#: Content past this is never in memory as a whole (DESIGN §5 "Content"): it counts as one chunk.
IN_MEMORY_OCTETS: Final = 64 * 1024


def _no_consumer(_: Sequence[Claim]) -> None:
    raise RuntimeError("claims were offered to a window that nobody delivers from")


def _nobody_waits() -> None:
    return None


class Window:
    """`letters`: legs at once. `octets`: of content at once."""

    __slots__ = ("_closed", "_held", "_letters", "_octets", "_on_nudge", "_on_offer", "_used_legs", "_used_octets")

    def __init__(self, letters: int, octets: int) -> None:
        self._letters = letters
        self._octets = octets
        self._used_legs = 0
        self._used_octets = 0
        self._held: dict[LetterId, int] = {}
        self._closed = False
        self._on_offer: Callable[[Sequence[Claim]], None] = _no_consumer
        self._on_nudge: Callable[[], None] = _nobody_waits

    # -- for sessions ------------------------------------------------------------------------------------------------

    def has_room(self, size: int) -> bool:
        """True if a letter of `size` octets may be accepted as claimed."""
        return (
            not self._closed
            and self._used_legs < self._letters
            and self._used_octets + min(size, IN_MEMORY_OCTETS) <= self._octets
        )

    def offer(self, claims: Sequence[Claim]) -> None:
        """Hands born claims over; they are delivery's from here on, also when the window is full or closed by now."""
        self.take(claims)
        self._on_offer(claims)

    def nudge(self) -> None:
        """Something became due in the store (accepted unclaimed, or `retry`): look there now rather than at the next
        poll."""
        self._on_nudge()

    # -- for delivery ------------------------------------------------------------------------------------------------

    def attach(self, on_offer: Callable[[Sequence[Claim]], None], on_nudge: Callable[[], None]) -> None:
        """Makes the caller the consumer. The callbacks must not raise."""
        self._on_offer = on_offer
        self._on_nudge = on_nudge

    @property
    def room(self) -> int:
        """How many legs may be claimed from the store now; 0 when the octets are used up."""
        if self._closed or self._used_octets >= self._octets:
            return 0
        return max(self._letters - self._used_legs, 0)

    @property
    def letters(self) -> int:
        """The bound in legs."""
        return self._letters

    @property
    def used_legs(self) -> int:
        return self._used_legs

    @property
    def used_octets(self) -> int:
        return self._used_octets

    def take(self, claims: Sequence[Claim]) -> None:
        """Counts claims that are in memory now."""
        held = self._held
        for claim in claims:
            legs = held.get(claim.letter, 0)
            held[claim.letter] = legs + 1
            if not legs:
                self._used_octets += min(claim.envelope.size_octets, IN_MEMORY_OCTETS)
        self._used_legs += len(claims)

    def done(self, claim: Claim) -> None:
        """Forgets a claim that was recorded or released. Each exactly once."""
        legs = self._held.pop(claim.letter)  # KeyError: an invariant broke (more done than taken)
        self._used_legs -= 1
        if legs > 1:
            self._held[claim.letter] = legs - 1
        else:
            self._used_octets -= min(claim.envelope.size_octets, IN_MEMORY_OCTETS)

    def resize(self, letters: int, octets: int) -> None:
        """A new configuration. What is held stays."""
        self._letters = letters
        self._octets = octets

    def close(self) -> None:
        """No room from now on (draining)."""
        self._closed = True
