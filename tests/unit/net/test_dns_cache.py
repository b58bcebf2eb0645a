"""TtlCache: nothing expired is given out, and neither the number nor the weight of answers grows past its bound."""

from __future__ import annotations

import pytest

from ekiden.net.dns_cache import MAX_NEGATIVE_TTL, MAX_TTL, MIN_TTL, TtlCache, clamp_ttl


def test_gives_what_was_put_until_its_time_is_over() -> None:
    cache: TtlCache[str, str] = TtlCache()
    cache.put("a", "answer", ttl=30, octets=10, now=100)
    assert cache.get("a", 129.9) == "answer"
    assert cache.get("a", 130) is None
    assert len(cache) == 0
    assert cache.octets == 0


def test_a_second_answer_replaces_the_first_with_its_weight() -> None:
    cache: TtlCache[str, str] = TtlCache()
    cache.put("a", "old", ttl=30, octets=10, now=0)
    cache.put("a", "new", ttl=60, octets=7, now=10)
    assert cache.get("a", 50) == "new"
    assert cache.octets == 7


def test_when_full_what_was_used_longest_ago_goes() -> None:
    cache: TtlCache[str, int] = TtlCache(max_entries=2)
    cache.put("a", 1, ttl=60, octets=1, now=0)
    cache.put("b", 2, ttl=60, octets=1, now=0)
    assert cache.get("a", 1) == 1
    cache.put("c", 3, ttl=60, octets=1, now=2)
    assert [cache.get(key, 3) for key in "abc"] == [1, None, 3]


def test_heavy_answers_push_out_others_and_the_heaviest_is_not_kept() -> None:
    cache: TtlCache[str, int] = TtlCache(max_octets=100)
    cache.put("a", 1, ttl=60, octets=60, now=0)
    cache.put("b", 2, ttl=60, octets=60, now=0)
    assert cache.get("a", 1) is None
    assert cache.get("b", 1) == 2
    cache.put("c", 3, ttl=60, octets=101, now=0)
    assert cache.get("c", 1) is None
    assert cache.get("b", 1) == 2
    assert cache.octets == 60


@pytest.mark.parametrize(
    ("ttl", "negative", "kept"),
    [
        (0, False, MIN_TTL),
        (60, False, 60),
        (604_800, False, MAX_TTL),
        (0, True, MIN_TTL),
        (3600, True, MAX_NEGATIVE_TTL),
    ],
)
def test_clamp(ttl: float, negative: bool, kept: float) -> None:
    assert clamp_ttl(ttl, negative=negative) == kept
