"""Who may come in at a door."""

from __future__ import annotations

import pytest

from ekiden.config.model import DoorRules
from ekiden.policy.doors import REFUSED, DoorNetworks, may_enter
from ekiden.policy.networks import client_network

RULES = DoorRules(
    allow=("10.0.0.0/8", "2001:db8::/32"), deny=("10.9.0.0/16", "2001:db8:9::/48"), proxies=("192.0.2.7", "10.9.9.9")
)


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("10.1.2.3", "allowed"),
        ("2001:db8::1", "allowed"),
        ("::ffff:10.1.2.3", "allowed"),
        ("10.9.0.1", "denied"),
        ("::ffff:10.9.0.1", "denied"),
        ("2001:db8:9::1", "denied"),
        ("192.0.2.1", "not-allowed"),
        ("2001:db7::1", "not-allowed"),
        ("", "not-allowed"),
        ("nowhere", "not-allowed"),
        ("192.0.2.7", "own-proxy"),
        ("10.9.9.9", "denied"),
    ],
)
def test_rules(address: str, rule: str) -> None:
    decision = may_enter(DoorNetworks(RULES), address)
    assert decision.rule == rule
    assert decision.accepted == (rule in ("allowed", "own-proxy"))
    assert (decision.reply is REFUSED) == (not decision.accepted)


def test_without_rules_everybody_comes_in() -> None:
    door = DoorNetworks(DoorRules())
    assert door.open_to_all
    assert all(may_enter(door, address).accepted for address in ("192.0.2.1", "2001:db8::1", ""))


def test_with_deny_alone_all_others_come_in() -> None:
    door = DoorNetworks(DoorRules(deny=("192.0.2.0/24",)))
    assert not may_enter(door, "192.0.2.1").accepted
    assert may_enter(door, "192.0.3.1").accepted


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("", ""),
        ("nowhere", "nowhere"),
    ],
)
def test_client_networks(address: str, network: str) -> None:
    assert client_network(address) == network
