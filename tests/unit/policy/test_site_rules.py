"""Which `[[site]]` decides, and what it leaves to `[delivery]`."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.config.model import Config, Delivery, Site
from ekiden.policy.retry import RetrySchedule
from ekiden.policy.site_rules import rules_for

BASE = Config(hostname="mail.example.test", data_dir="/d", delivery=Delivery(connections_per_site=7))


def config(*sites: Site) -> Config:
    return msgspec.structs.replace(BASE, site=sites)


def name(match: str, next_hop: str, *hosts: str) -> str:
    return rules_for(config(Site(match=match)), next_hop=next_hop, hosts=hosts).name


@pytest.mark.parametrize(
    ("match", "next_hop", "hosts"),
    [
        ("far.test", "mx:far.test", ["mx1.far.test"]),
        ("*.far.test", "mx:sub.far.test", ["mx.elsewhere.test"]),
        ("*.big.test", "mx:far.test", ["mx.other.test", "In.Big.test"]),
        ("mx.big.test", "mx:far.test", ["mx.big.test"]),
        ("*.partner.test", "route:*.partner.test", ["10.0.0.1"]),
        ("smart.test", "route:*", ["smart.test"]),
        ("[192.0.2.1]", "mx:[192.0.2.1]", ["[192.0.2.1]"]),
        ("/run/lmtp", "route:far.test", ["/run/lmtp"]),
        ("*", "mx:far.test", []),
    ],
)
def test_it_fits(match: str, next_hop: str, hosts: list[str]) -> None:
    assert name(match, next_hop, *hosts) == match


@pytest.mark.parametrize(
    ("match", "next_hop", "hosts"),
    [
        ("far.test", "mx:sub.far.test", ["mx.far.test"]),
        ("*.far.test", "mx:far.test", ["far.test"]),
        ("ar.test", "mx:far.test", ["mx.far.test"]),
        ("mx:far.test", "mx:far.test", []),
        ("far.test", "route:*", ["smart.test"]),
    ],
)
def test_it_does_not_fit(match: str, next_hop: str, hosts: list[str]) -> None:
    assert name(match, next_hop, *hosts) == ""


def test_the_first_that_fits_decides_everything() -> None:
    sites = Site(match="*.big.test", connections=2), Site(match="far.test", connections=5, letters_per_minute=60)
    rules = rules_for(config(*sites), next_hop="mx:far.test", hosts=["mx.big.test"])
    assert (rules.name, rules.connections, rules.letters_per_minute) == ("*.big.test", 2, 0)
    rules = rules_for(config(*reversed(sites)), next_hop="mx:far.test", hosts=["mx.big.test"])
    assert (rules.name, rules.connections, rules.letters_per_minute) == ("far.test", 5, 60)


def test_what_a_site_leaves_open_is_as_in_delivery() -> None:
    rules = rules_for(config(), next_hop="mx:far.test", hosts=[])
    assert rules.connections == 7
    assert rules.retry == RetrySchedule(300.0, 1.6, 14400.0)
    assert (rules.connections_per_minute, rules.letters_per_minute, rules.family) == (0, 0, "both")
    own = Site(match="*", retry_first=60.0, retry_longest=600.0, family="ipv4")
    rules = rules_for(config(own), next_hop="mx:far.test", hosts=[])
    assert rules.connections == 7
    assert rules.retry == RetrySchedule(60.0, 1.6, 600.0)
    assert rules.family == "ipv4"
