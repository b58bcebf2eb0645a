"""Which way a recipient goes, by configuration alone."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Domain, Route
from ekiden.model.envelope import Envelope, Notify, Origin, Recipient
from ekiden.model.mailbox import Mailbox
from ekiden.policy import next_hop
from ekiden.policy.next_hop import NextHops

TO = ("smtp://10.0.0.1:25",)


def route(match: str) -> Route:
    return Route(match=match, to=TO)


def config(*routes: str | Route, domains: tuple[Domain, ...] = (Domain(name="example.test"),)) -> Config:
    made = tuple(route(one) if isinstance(one, str) else one for one in routes)
    return Config(hostname="mail.example.test", data_dir="/d", domain=domains, route=made)


def envelope(reverse_path: str = "bob@example.test", account: str = "") -> Envelope:
    return Envelope(reverse_path, 0.0, Origin(account=account))


def key_of(settings: Config, path: str) -> str:
    return NextHops(settings).key_for(envelope(), Recipient(path), 0)


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
    assert key_of(config(*routes), path) == key


@pytest.mark.parametrize("recipients", ["any", "callahead", "list:/x"])
def test_a_domain_of_ours_without_accounts_goes_by_its_route_or_by_mx(recipients: str) -> None:
    domains = (Domain(name="example.test", recipients=recipients),)
    assert key_of(config("*", domains=domains), "a@example.test") == "route:*"
    assert key_of(config(domains=domains), "a@example.test") == "mx:example.test"


def test_legs_keep_the_order_and_the_wishes() -> None:
    one = Recipient("a@far.test", (Notify.NEVER,), "rfc822;a@far.test")
    two, three = Recipient("b@example.test"), Recipient("c@FAR.test")
    legs = NextHops(config()).legs(envelope(), [one, two, three], flow="alice", priority=3, attempts=2)
    assert [(leg.next_hop, leg.recipients) for leg in legs] == [("mx:far.test", [one, three]), ("local", [two])]
    assert {(leg.flow, leg.priority, leg.attempts) for leg in legs} == {("alice", 3, 2)}


def test_the_memory_of_domains_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_hop, "REMEMBERED_DOMAINS", 10)
    hops = NextHops(config())
    for number in range(100):
        assert hops.key(Mailbox("a", f"d{number}.test")) == f"mx:d{number}.test"
        assert hops._always is not None
        assert len(hops._always._known) <= 10


# -- more than the recipient's domain


SHOP = Route(match="*", sender=("shop.test", "*.shop.test", "Boss@example.test"), to=TO)
REPORTS = Route(match="*", sender=("<>",), to=TO, name="reports")
ALICE = Route(match="far.test", account=("Alice@example.test",), to=TO)
PEOPLE = Route(match="*", account=("*",), to=TO)
LAST = Route(match="*", after_attempts=3, to=TO)


@pytest.mark.parametrize(
    ("routes", "letter", "path", "attempts", "key"),
    [
        ((SHOP,), envelope("a@shop.test"), "b@far.test", 0, "route:*,sender=shop.test"),
        ((SHOP,), envelope("a@x.SHOP.test"), "b@far.test", 0, "route:*,sender=shop.test"),
        ((SHOP,), envelope("boss@EXAMPLE.test"), "b@far.test", 0, "route:*,sender=shop.test"),
        ((SHOP,), envelope("other@example.test"), "b@far.test", 0, "mx:far.test"),
        ((SHOP,), envelope('"x@shop.test"@evil.test'), "b@far.test", 0, "mx:far.test"),
        ((SHOP,), envelope("a@shop.test"), "b@example.test", 0, "local"),
        ((SHOP,), envelope(""), "b@far.test", 0, "mx:far.test"),
        ((REPORTS,), envelope(""), "b@far.test", 0, "route:reports"),
        ((REPORTS,), envelope("a@shop.test"), "b@far.test", 0, "mx:far.test"),
        (
            (ALICE,),
            envelope(account="alice@example.test"),
            "b@far.test",
            0,
            "route:far.test,account=Alice@example.test",
        ),
        ((ALICE,), envelope(account="alice@example.test"), "b@other.test", 0, "mx:other.test"),
        ((ALICE,), envelope("alice@example.test"), "b@far.test", 0, "mx:far.test"),  # who only says that she is
        ((PEOPLE,), envelope(account="bob@example.test"), "b@far.test", 0, "route:*,account=*"),
        ((PEOPLE,), envelope(), "b@far.test", 0, "mx:far.test"),
        ((LAST,), envelope(), "b@far.test", 2, "mx:far.test"),
        ((LAST,), envelope(), "b@far.test", 3, "route:*,after=3"),
        ((LAST, route("*")), envelope(), "b@far.test", 2, "route:*"),
        ((LAST, route("*")), envelope(), "b@far.test", 9, "route:*,after=3"),
        ((route("far.test"), LAST), envelope(), "b@far.test", 9, "route:far.test"),
    ],
)
def test_all_conditions_must_hold(
    routes: tuple[Route, ...], letter: Envelope, path: str, attempts: int, key: str
) -> None:
    hops = NextHops(config(*routes))
    assert hops.key_for(letter, Recipient(path), attempts) == key
    assert [leg.next_hop for leg in hops.legs(letter, [Recipient(path)], attempts=attempts)] == [key]


def test_two_letters_do_not_share_what_is_remembered() -> None:
    hops = NextHops(config(SHOP))
    for _ in range(2):
        assert hops.key_for(envelope("a@shop.test"), Recipient("b@far.test"), 0) == "route:*,sender=shop.test"
        assert hops.key_for(envelope("a@home.test"), Recipient("b@far.test"), 0) == "mx:far.test"
    assert hops.key(Mailbox("b", "far.test")) == "mx:far.test"


def test_the_memory_of_ways_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_hop, "REMEMBERED_WAYS", 4)
    hops = NextHops(config(*(Route(match="*", sender=(f"a{n}@x.test",), to=TO) for n in range(20))))
    for number in range(20):
        found = hops.key_for(envelope(f"a{number}@x.test"), Recipient("b@far.test"), 0)
        assert found == f"route:*,sender=a{number}@x.test"
        assert len(hops._ways) <= 4


def test_what_the_postmaster_rerouted_goes_there() -> None:
    rerouted = Recipient("b@example.test", via="smtp://10.0.0.9:26")
    assert NextHops(config(LAST)).key_for(envelope(), rerouted, 5) == "via:smtp://10.0.0.9:26"
    legs = NextHops(config()).legs(envelope(), [rerouted, Recipient("c@example.test")])
    assert [leg.next_hop for leg in legs] == ["via:smtp://10.0.0.9:26", "local"]


def test_a_leg_whose_ways_part() -> None:
    letter, leg = envelope("a@shop.test"), [Recipient("b@far.test"), Recipient("c@example.test")]
    assert NextHops(config(SHOP)).keys_for(letter, leg, 0) == {"route:*,sender=shop.test", "local"}
