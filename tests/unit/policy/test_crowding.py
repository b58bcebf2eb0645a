"""Who has too many connections."""

from __future__ import annotations

import pytest

from ekiden.model.door import Door
from ekiden.policy.crowding import CrowdFacts, crowd_network, decide_connection, room_of


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (CrowdFacts(False, 50, 200, 50, 200), "room"),
        (CrowdFacts(False, 51, 51, 50, 200), "connections-address"),
        (CrowdFacts(False, 1, 201, 50, 200), "connections-network"),
        (CrowdFacts(False, 51, 201, 50, 200), "connections-address"),
        (CrowdFacts(True, 900, 900, 50, 200), "exempt"),
        (CrowdFacts(False, 900, 900, 0, 0), "room"),
        (CrowdFacts(False, 900, 900, 0, 200), "connections-network"),
    ],
)
def test_limits_at_their_edges(facts, rule) -> None:
    decision = decide_connection(facts)
    assert decision.rule == rule
    assert decision.accepted == (rule in ("room", "exempt"))
    if decision.reply:
        assert decision.reply.code == 421


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:2ff::1%eth0", "2001:db8:1:200::/56"),
        ("", ""),
    ],
)
def test_networks_are_what_one_customer_gets(address, network) -> None:
    assert crowd_network(address) == network


def test_a_tenth_is_kept_for_those_who_send() -> None:
    assert room_of(Door.RELAY, 100) == room_of(Door.POP3S, 100) == 90
    assert room_of(Door.SUBMISSION, 100) == room_of(Door.SUBMISSIONS, 100) == 100
    assert room_of(Door.RELAY, 5) == 5
