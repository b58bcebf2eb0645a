"""Trusted networks: what is too wide, and why a gateway is trusted by nobody's oversight."""

from __future__ import annotations

import ipaddress

import pytest

from ekiden.config.model import WideNetwork
from ekiden.policy.trusted import (
    Neighbourhood,
    SharedAddress,
    TrustedNetworks,
    entries_with,
    is_everybody,
    is_wide,
    shared_alone,
    shared_within,
)

DOCKER = SharedAddress("172.17.0.1", "the gateway of this container (eth0)")
CONTAINER = Neighbourhood(frozenset({"172.17.0.1", "fd00::1"}), (DOCKER, SharedAddress("fd00::1", "the same")))


@pytest.mark.parametrize(
    ("network", "wide"),
    [
        ("0.0.0.0/0", True),
        ("10.0.0.0/8", True),
        ("10.0.0.0/15", True),
        ("10.0.0.0/16", False),
        ("10.0.0.7/32", False),
        ("::/0", True),
        ("2001:db8::/47", True),
        ("2001:db8::/48", False),
        ("64:ff9b::/96", True),  # the whole of IPv4, translated
        ("64:ff9b::a00:0/111", True),
        ("64:ff9b::a00:0/112", False),
    ],
)
def test_what_is_wide(network: str, wide: bool) -> None:
    assert is_wide(ipaddress.ip_network(network)) is wide


@pytest.mark.parametrize(
    ("entry", "against"),
    [
        ("172.17.0.0/16", "172.17.0.1"),
        ("172.17.0.0/30", "172.17.0.1"),
        (WideNetwork(net="172.17.0.0/16"), "172.17.0.1"),
        (WideNetwork(net="172.17.0.0/16", wide=True), ""),
        ("fd00::/64", "fd00::1"),
        ("172.17.0.1", ""),
        ("172.17.0.1/32", ""),
        ("172.17.0.2/31", ""),
        ("172.18.0.0/16", ""),
    ],
)
def test_a_range_with_a_container_gateway_must_be_meant(entry: str | WideNetwork, against: str) -> None:
    found = shared_within(entry, CONTAINER)
    assert (found.address if found else "") == against
    assert shared_within(entry, Neighbourhood(CONTAINER.gateways)) is None, "a router at home is none"


def test_an_address_that_is_listed_itself_is_told() -> None:
    assert shared_alone("172.17.0.1", CONTAINER) == DOCKER
    assert shared_alone("172.17.0.0/16", CONTAINER) is None
    assert shared_alone("172.17.0.2", CONTAINER) is None


@pytest.mark.parametrize("client", ["172.17.0.1", "::ffff:172.17.0.1", "::ffff:ac11:1"])
def test_a_gateway_is_trusted_only_when_it_is_listed_itself(client: str) -> None:
    wide = WideNetwork(net="172.16.0.0/12", wide=True)
    for entries in (["172.17.0.0/16"], [wide], ["172.17.0.0/16", wide, "172.17.0.0/31"]):
        trusted = TrustedNetworks(entries, CONTAINER.gateways)
        assert client not in trusted
        assert "172.17.0.2" in trusted
        assert client in TrustedNetworks([*entries, "172.17.0.1/32"], CONTAINER.gateways)
        assert client in TrustedNetworks(entries), "it is the gateway that makes the difference"


def test_trusted_networks() -> None:
    trusted = TrustedNetworks(["10.0.0.7", WideNetwork(net="10.1.0.0/16"), "2001:db8::/48"], ["fe80::1%eth0"])
    for client in ("10.0.0.7", "::ffff:10.0.0.7", "10.1.200.3", "2001:db8:0:1::5"):
        assert client in trusted
    for client in ("10.0.0.8", "11.0.0.7", "2001:db8:1::", "", "no address"):
        assert client not in trusted
    assert trusted
    assert not TrustedNetworks([])
    assert "10.0.0.7" not in TrustedNetworks([])


def test_everybody() -> None:
    assert is_everybody(WideNetwork(net="0.0.0.0/0", wide=True))
    assert is_everybody("::/0")
    assert not is_everybody("10.0.0.0/8")


def test_who_looks_for_the_culprit_finds_all_entries() -> None:
    entries = ["10.0.0.7", WideNetwork(net="10.0.0.0/8", wide=True), "2001:db8::/48"]
    assert entries_with(entries, "::ffff:10.0.0.7") == [0, 1]
    assert entries_with(entries, "2001:db8::1") == [2]
    assert entries_with(entries, "") == []


def test_a_proxy_is_not_trusted_by_its_own_address() -> None:
    trusted = TrustedNetworks(["10.0.0.0/24", "192.0.2.7"], proxies=["10.0.0.5", "192.0.2.7/32"])
    assert "10.0.0.4" in trusted
    for proxy in ("10.0.0.5", "::ffff:10.0.0.5", "192.0.2.7"):
        assert proxy not in trusted
