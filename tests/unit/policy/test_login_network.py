"""login_network: which addresses count as the same place."""

from __future__ import annotations

import pytest

from ekiden.policy.login_network import login_network


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("client.example", ""),
    ],
)
def test_networks(client, network):
    assert login_network(client) == network
