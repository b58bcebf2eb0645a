"""Which way a recipient goes, by configuration alone."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Domain, Route
from ekiden.model.envelope import Notify, Recipient
from ekiden.model.mailbox import Mailbox
from ekiden.policy import next_hop
from ekiden.policy.next_hop import NextHops, mailbox_of, pattern_matches


def config(*routes: str, domains: tuple[Domain, ...] = (Domain(name="example.test"),)) -> Config:
    return Config(
        hostname="mail.example.test",
        data_dir="/d",
        domain=domains,
        route=tuple(Route(match=match, to=("smtp://10.0.0.1:25",)) for match in routes),
    )


@pytest.mark.parametrize(
    ("routes", "path", "key"),
    [
        ((), "a@example.test", "local"),
        ((), "a@EXAMPLE.test.", "local"),
        ((), "postmaster", "local"),
        ((), "a@far.test", "mx:far.test"),
        ((), "a@Far.Test", "mx:far.test"),
        ((), "a@bücher.test", "mx:xn--bcher-kva.test"),
        ((), '"a@example.test"@far.test', "mx:far.test"),
        ((), "a@[192.0.2.1]", "mx:[192.0.2.1]"),
        ((), "a@[IPv6:2001:DB8::1]", "mx:[ipv6:2001:db8::1]"),
        (("*",), "a@far.test", "route:*"),
        (("*",), "a@[192.0.2.1]", "route:*"),
        (("*",), "a@example.test", "local"),
        (("example.test",), "a@example.test", "route:example.test"),
        (("*.test",), "a@example.test", "route:*.test"),
        (("*.far.test",), "a@far.test", "mx:far.test"),
        (("*.far.test",), "a@x.far.test", "route:*.far.test"),
        (("*.far.test",), "a@notfar.test", "mx:notfar.test"),
        (("x.far.test", "*"), "a@x.far.test", "route:x.far.test"),
        (("*", "x.far.test"), "a@x.far.test", "route:*"),
        (("FAR.test",), "a@far.test", "route:FAR.test"),
        (("bücher.test",), "a@xn--bcher-kva.test", "route:bücher.test"),
    ],
)
def test_key(routes: tuple[str, ...], path: str, key: str) -> None:
    assert NextHops(config(*routes)).key_of(path) == key


@pytest.mark.parametrize("recipients", ["any", "callahead", "list:/x"])
def test_a_domain_of_ours_without_accounts_goes_by_its_route_or_by_mx(recipients: str) -> None:
    domains = (Domain(name="example.test", recipients=recipients),)
    assert NextHops(config("*", domains=domains)).key_of("a@example.test") == "route:*"
    assert NextHops(config(domains=domains)).key_of("a@example.test") == "mx:example.test"


def test_legs_keep_the_order_and_the_wishes() -> None:
    one = Recipient("a@far.test", (Notify.NEVER,), "rfc822;a@far.test")
    two, three = Recipient("b@example.test"), Recipient("c@FAR.test")
    legs = NextHops(config()).legs([one, two, three], flow="alice", priority=3)
    assert [(leg.next_hop, leg.recipients) for leg in legs] == [("mx:far.test", [one, three]), ("local", [two])]
    assert {(leg.flow, leg.priority) for leg in legs} == {("alice", 3)}


def test_the_memory_of_domains_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_hop, "REMEMBERED_DOMAINS", 10)
    hops = NextHops(config())
    for number in range(100):
        assert hops.key(Mailbox("a", f"d{number}.test")) == f"mx:d{number}.test"
        assert len(hops._known) <= 10


def test_mailbox_of() -> None:
    assert mailbox_of('"a@b"@c.test') == Mailbox('"a@b"', "c.test")
    assert mailbox_of("postmaster") == Mailbox("postmaster", "")


def test_pattern_star_takes_everything() -> None:
    assert pattern_matches("*", "")
