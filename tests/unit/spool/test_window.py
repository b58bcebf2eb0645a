"""The window between doors and delivery."""

from __future__ import annotations

import pytest

from ekiden.model.envelope import Envelope, Leg, Origin, Recipient
from ekiden.model.ids import LetterId
from ekiden.ports.spool import Claim
from ekiden.spool.window import IN_MEMORY_OCTETS, Window
from ekiden.storage.memory.content import MemoryContent


def claim(letter: int, number: int = 0, size: int = 100) -> Claim:
    envelope = Envelope("a@x.test", 0.0, Origin(), size_octets=size)
    leg = Leg(LetterId(letter), number, "mx:far.test", [Recipient("b@far.test")])
    return Claim(LetterId(letter), envelope, leg, MemoryContent(b""))


def attached(letters: int = 10, octets: int = 1000) -> tuple[Window, list[Claim], list[str]]:
    window, offered, nudges = Window(letters, octets), [], []
    window.attach(offered.extend, lambda: nudges.append("nudge"))
    return window, offered, nudges


def test_bounded_in_legs() -> None:
    window, _, _ = attached(letters=2)
    window.offer([claim(1, 0), claim(1, 1)])
    assert not window.has_room(1)
    assert window.room == 0
    window.done(claim(1, 0))
    assert window.has_room(1)
    assert window.room == 1


def test_bounded_in_octets_counted_once_a_letter() -> None:
    window, _, _ = attached(octets=250)
    window.offer([claim(1, 0), claim(1, 1)])
    assert window.used_octets == 100
    assert window.has_room(150)
    assert not window.has_room(151)
    window.offer([claim(2, 0, size=150)])
    assert window.room == 0
    window.done(claim(1, 1))
    assert window.used_octets == 250
    window.done(claim(1, 0))
    assert (window.used_octets, window.used_legs) == (150, 1)


def test_a_large_letter_counts_as_what_passes_through_memory() -> None:
    window, _, _ = attached(octets=IN_MEMORY_OCTETS)
    assert window.has_room(50_000_000)
    window.offer([claim(1, size=50_000_000)])
    assert window.used_octets == IN_MEMORY_OCTETS
    window.done(claim(1, size=50_000_000))
    assert window.used_octets == 0


def test_offers_and_nudges_reach_the_consumer_at_once() -> None:
    window, offered, nudges = attached()
    window.offer([claim(7)])
    window.nudge()
    assert [c.letter for c in offered] == [7]
    assert nudges == ["nudge"]


def test_closed_has_no_room_but_still_hands_over_what_was_under_way() -> None:
    window, offered, _ = attached()
    window.close()
    assert not window.has_room(1)
    assert window.room == 0
    window.offer([claim(1)])
    assert len(offered) == 1
    assert window.used_legs == 1


def test_resize_keeps_what_is_held() -> None:
    window, _, _ = attached(letters=5)
    window.offer([claim(n) for n in range(1, 4)])
    window.resize(2, 1000)
    assert window.room == 0
    window.resize(10, 1000)
    assert window.room == 7


def test_more_done_than_taken_is_a_bug_that_shows() -> None:
    window, _, _ = attached()
    with pytest.raises(KeyError):
        window.done(claim(1))


def test_nobody_delivers_is_a_bug_that_shows() -> None:
    with pytest.raises(RuntimeError):
        Window(1, 1).offer([claim(1)])
    Window(1, 1).nudge()  # nobody waits: nothing to wake
