"""What can be told of our SPF records and the detour."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Delivery, Detour, Domain
from ekiden.delivery.detour_spf import is_spf, lacks_detour, names_server
from tests.fakes.resolver import FakeResolver

HOST = "smtp.provider.test"


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 include:_spf.provider.test -all",
        "v=spf1 mx redirect=provider.test",
        "v=spf1 a:smtp.provider.test/28 ~all",
        "v=spf1 ip4:20.0.0.0/24 -all",
        "v=spf1 ip6:2001:db8::/32 -all",
        "v=spf1 +all",
    ],
)
def test_named(record: str) -> None:
    assert names_server(record, [HOST], ["20.0.0.7", "2001:db8::7"])


@pytest.mark.parametrize(
    "record", ["v=spf1 mx -all", "v=spf1 include:other.test -all", "v=spf1 ip4:20.0.1.0/24 -all", "v=spf1 ip4:x -all"]
)
def test_not_named(record: str) -> None:
    assert not names_server(record, [HOST], ["20.0.0.7"])


@pytest.mark.parametrize(("text", "expected"), [(b"v=spf1", True), (b"V=SPF1 -all", True), (b"v=spf10", False)])
def test_records(text: bytes, expected: bool) -> None:
    assert is_spf(text) is expected


async def test_domains_without_a_record_lack_nothing() -> None:
    resolver = FakeResolver(
        addresses={HOST: ["20.0.0.7"]},
        txt={
            "a.test": [b"something", b"v=spf1 mx -all"],
            "b.test": [b"v=spf1 include:provider.test -all"],
            "c.test": [b"x"],
        },
        failing=["d.test"],
    )
    domains = tuple(Domain(name=f"{name}.test") for name in "abcd")
    delivery = Delivery(detour=Detour(to=(f"smtps://{HOST}:465",)))
    config = Config(hostname="h.test", data_dir="/d", domain=domains, delivery=delivery)
    assert await lacks_detour(resolver, config) == ["a.test"]
    without = Config(hostname="h.test", data_dir="/d", domain=domains)
    assert await lacks_detour(resolver, without) == []
