"""Who guesses passwords, and who only mistypes."""

from __future__ import annotations

import pytest

from ekiden.policy.guessing import GuessFacts, decide_login, guess_networks


def facts(address: int, *wide: int, known: bool = False, shared: bool = False, limit: int = 10) -> GuessFacts:
    return GuessFacts(known, shared, address, wide or (0, 0, 0), limit)


@pytest.mark.parametrize(
    ("given", "rule", "delay"),
    [
        (facts(2), "free", 0),
        (facts(3), "slowed", 0.5),
        (facts(5), "slowed", 2.0),
        (facts(9), "slowed", 5.0),
        (facts(10), "login-guesses", 0),
        (facts(10, shared=True), "slowed", 5.0),
        (facts(10_000, shared=True), "slowed", 5.0),
        (facts(0, 39, 39, 39), "free", 0),
        (facts(0, 40, 0, 0), "slowed", 5.0),
        (facts(0, 0, 0, 40), "slowed", 5.0),
        (facts(999, 999, 999, 999, known=True), "known", 0),
        (facts(999, 999, limit=0), "free", 0),
    ],
)
def test_limits_at_their_edges(given, rule, delay) -> None:
    verdict = decide_login(given)
    assert (verdict.rule, verdict.delay) == (rule, delay)
    assert verdict.refused == (rule == "login-guesses")


def test_networks_from_the_narrowest_to_the_widest() -> None:
    assert guess_networks("::ffff:192.0.2.77") == ("192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21")
    assert guess_networks("2001:db8:1:2:3::4") == ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")
    assert guess_networks("") == ("",)
