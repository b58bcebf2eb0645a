"""Special-purpose addresses (invariant 10)."""

from __future__ import annotations

import pytest

from ekiden.policy.addresses import is_special_purpose, may_connect
from ekiden.policy.networks import NetworkSet


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "no address",
        "",
    ],
)
def test_special(address: str) -> None:
    assert is_special_purpose(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public(address: str) -> None:
    assert not is_special_purpose(address)


def test_allowed_networks() -> None:
    allowed = NetworkSet(("127.0.0.0/8", "fd00::/8"))
    assert may_connect("127.0.0.9", allowed)
    assert may_connect("::ffff:127.0.0.9", allowed)
    assert may_connect("fd00::1", allowed)
    assert not may_connect("10.0.0.1", allowed)
    assert may_connect("8.8.8.8", NetworkSet(()))
