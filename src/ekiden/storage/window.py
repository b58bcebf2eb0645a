"""Counts of a sliding window, in eight slots. Pure arithmetic for all engines of the port `Tally`.

A window is cut into seven parts; a slot holds the count of one, the last slot that of the part we are in. So the sum of
eight slots covers the window and up to a seventh more: what it allows never exceeds a limit within any window, wherever
it begins, and a burst at the end of one part counts for no longer than 8/7 of the window. (Two parts with the older one
weighted, as is usual, let half as much again through.)

A window's state is the number of its newest part, and the slots, oldest first. Times: seconds of one clock that never
goes back; if it does, nothing is forgotten.
"""

from __future__ import annotations

from typing import Final

from ekiden.ports.tally import SHORTEST_WINDOW

PARTS: Final = 7
SLOTS: Final = PARTS + 1
#: (newest part, slot 1, …, slot 8)
State = tuple[int, ...]
EMPTY: Final[State] = (0,) * (1 + SLOTS)
#: Seconds added to a wait, so that rounding does not end it in the part before.
INSTANT: Final = 0.001
#: What a slot can hold.
MOST: Final = 2**32 - 1


def add(state: State, now: float, window: float, amount: int) -> State:
    part = part_of(now, window)
    newest = state[0]
    if part <= newest:
        return (*state[:-1], min(state[-1] + amount, MOST))
    gone = part - newest
    if gone >= SLOTS:
        return (part, *EMPTY[2:], amount)
    return (part, *state[1 + gone :], *EMPTY[1:gone], amount)


def count(state: State, now: float, window: float) -> int:
    gone = part_of(now, window) - state[0]
    if gone <= 0:
        return sum(state) - state[0]
    return sum(state[1 + gone :]) if gone < SLOTS else 0


def wait(state: State, now: float, window: float, most: int) -> float:
    """Seconds until the count is at most `most`."""
    left = count(state, now, window)
    if left <= most:
        return 0.0
    gone = max(part_of(now, window) - state[0], 0)
    while left > most and gone < SLOTS:
        left -= state[1 + gone]
        gone += 1
    return (state[0] + gone) * window / PARTS - now + INSTANT


def lasts(window: float) -> float:
    """Seconds after which nothing that was added now counts."""
    return window * SLOTS / PARTS


def part_of(now: float, window: float) -> int:
    if window < SHORTEST_WINDOW:
        raise ValueError(f"a window of {window} s is shorter than {SHORTEST_WINDOW} s")
    return int(now * PARTS / window)
