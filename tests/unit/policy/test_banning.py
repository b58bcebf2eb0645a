"""Who is banned, and for how long."""

from __future__ import annotations

import pytest

from ekiden.policy.banning import BY_GUARD, LONGEST, BanTable, next_ban
from ekiden.ports.bans import KEPT_SECONDS, LIFTED, Ban

NOW = 1_767_225_600.0
THIEF = Ban("198.51.100.66/32", NOW, NOW + 3600, BY_GUARD)


def table(*bans: Ban) -> BanTable:
    made = BanTable()
    made.learn(bans, NOW)
    return made


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("198.51.100.66/32", "198.51.100.66", "198.51.100.67"),
        ("198.51.100.66/32", "::ffff:198.51.100.66", "::c633:6442"),
        ("198.51.0.0/16", "198.51.255.255", "198.52.0.0"),
        ("2001:db8:1:2::/64", "2001:db8:1:2:ffff::1", "2001:db8:1:3::1"),
        ("2001:db8::/32", "2001:db8:ffff::", "32.1.13.184"),
        ("10.0.0.0/8", "10.9.9.9", "no address"),
    ],
)
def test_a_ban_holds_for_its_network_alone(network: str, inside: str, outside: str) -> None:
    bans = table(THIEF._replace(network=network))
    assert bans.bans(inside, NOW)
    assert not bans.bans(outside, NOW)


def test_it_ends_by_itself_or_when_it_is_lifted() -> None:
    bans = table(THIEF, Ban("192.0.2.0/24", NOW, None, "root"))
    assert not bans.bans("198.51.100.66", NOW + 3600)
    assert bans.bans("192.0.2.1", NOW + 10**9)
    bans.learn([Ban("192.0.2.0/24", NOW, LIFTED, "root")], NOW)
    assert not bans.bans("192.0.2.1", NOW)


def test_what_is_over_does_not_pile_up() -> None:
    bans = BanTable()
    for number in range(5000):
        now = NOW + number
        bans.learn([Ban(f"10.0.{number // 256}.{number % 256}/32", now, now + 60, BY_GUARD)], now)
    assert len(bans) <= 1000


def test_each_ban_lasts_twice_as_long_up_to_a_week() -> None:
    before: Ban | None = None
    lengths, now = [], NOW
    for _ in range(10):
        before = next_ban("192.0.2.1/32", before, now=now, first=3600, reason="")
        assert before is not None
        assert before.until is not None
        lengths.append(before.until - now)
        now = before.until + 1
    assert lengths[:3] == [3600, 7200, 14400]
    assert lengths[-1] == LONGEST


@pytest.mark.parametrize(
    ("before", "times"),
    [
        (THIEF._replace(until=NOW - KEPT_SECONDS - 1, times=5), 1),
        (THIEF._replace(until=NOW - 1, times=5), 6),
        (THIEF._replace(until=NOW - 1, by="root", times=5), 1),
        (THIEF._replace(until=LIFTED, times=5), 1),
    ],
)
def test_only_what_a_guard_said_lately_counts(before: Ban, times: int) -> None:
    ban = next_ban(THIEF.network, before, now=NOW, first=3600, reason="")
    assert ban is not None
    assert ban.times == times


def test_a_ban_that_lasts_is_left_alone() -> None:
    assert next_ban(THIEF.network, THIEF._replace(until=None), now=NOW, first=1, reason="") is None


def test_a_first_ban_may_be_longer_than_the_longest() -> None:
    ban = next_ban(THIEF.network, None, now=NOW, first=LONGEST * 4, reason="")
    assert ban is not None
    assert ban.until == NOW + LONGEST * 4
