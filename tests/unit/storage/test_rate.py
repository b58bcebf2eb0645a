"""The arithmetic of rates: never more than N in any window, whatever is asked when."""

from __future__ import annotations

import random

import pytest

from ekiden.ports.slots import TOKEN_SECONDS
from ekiden.storage.rate import rate_of, spend


def grants(per_minute: int, moments: list[float], wanted: int) -> list[tuple[float, int]]:
    rate, arrival, found = rate_of(per_minute), 0.0, []
    for now in moments:
        grant, arrival = spend(arrival, now, rate, wanted)
        assert arrival - now <= rate.furthest + 1e-6
        if grant.granted:
            found.append((now, grant.granted))
    return found


@pytest.mark.parametrize("per_minute", [1, 2, 3, 59, 60, 61, 120, 600, 6000])
def test_no_window_holds_more(per_minute: int) -> None:
    """Greedy askers, at regular and at random moments; tokens may be used up to `TOKEN_SECONDS` late."""
    chance = random.Random(per_minute)
    for moments in (
        [1000 + n * 0.05 for n in range(4000)],
        sorted(1000 + chance.uniform(0, 300) for _ in range(2000)),
        [1000.0] * 5 + sorted(1060 + chance.expovariate(0.05) for _ in range(1000)),
    ):
        found = grants(per_minute, moments, wanted=100)
        for index, (start, _) in enumerate(found):
            within = sum(granted for now, granted in found[index:] if now <= start + 60 + TOKEN_SECONDS)
            assert within <= per_minute


@pytest.mark.parametrize(("per_minute", "share"), [(1, 0.9), (5, 0.9), (10, 0.87), (30, 0.93), (60, 0.95), (600, 0.95)])
@pytest.mark.parametrize("every", [0.05, 1.0])
def test_the_rate_is_nearly_used_up_also_when_asked_once_a_second(per_minute: int, share: float, every: float) -> None:
    found = grants(per_minute, [n * every for n in range(int(600 / every))], wanted=100)
    assert sum(granted for _, granted in found) >= share * per_minute * 10


def test_at_most_a_seconds_worth_at_once() -> None:
    assert grants(600, [0.0], wanted=100) == [(0.0, 11)]
    assert grants(600, [0.0], wanted=3) == [(0.0, 3)]
    assert grants(5, [0.0], wanted=3) == [(0.0, 1)]


@pytest.mark.parametrize("per_minute", [1, 7, 600])
def test_the_wait_is_until_a_token(per_minute: int) -> None:
    rate = rate_of(per_minute)
    _, arrival = spend(0.0, 50.0, rate, 100)
    grant, same = spend(arrival, 50.0, rate, 1)
    assert (grant.granted, same) == (0, arrival)
    assert spend(arrival, 50.0 + grant.wait - 0.001, rate, 1)[0].granted == 0
    assert spend(arrival, 50.0 + grant.wait, rate, 1)[0].granted == 1


def test_a_rate_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="never grants"):
        rate_of(0)
