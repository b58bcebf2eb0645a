"""From a next-hop key to hosts, or to the reason why there are none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ekiden.config.model import Config, Delivery, Listen, Route, Site, Source
from ekiden.delivery.road import Credentials, Host, NoRoad
from ekiden.delivery.routing import Routing, alternate
from ekiden.ports.wire import Endpoint, TlsMode
from tests.fakes.clock import FakeRandom
from tests.fakes.resolver import FakeResolver

PUBLIC, OTHER = "20.0.0.1", "20.0.0.2"
SIX = "2a00:1450::1"


def routing(
    resolver: FakeResolver | None = None,
    *routes: Route,
    secrets: dict[str, Credentials] | None = None,
    relay: tuple[str, ...] = ("0.0.0.0:25", "[::]:25"),
    allow: tuple[str, ...] = (),
    mx_port: int = 25,
    random: FakeRandom | None = None,
    sites: tuple[Site, ...] = (),
    source: tuple[str, ...] = (),
    sources: tuple[Source, ...] = (),
) -> Routing:
    config = Config(
        hostname="mail.example.test",
        data_dir="/d",
        listen=Listen(relay=relay),
        route=routes,
        site=sites,
        source=sources,
        delivery=Delivery(allow_addresses=allow, mx_port=mx_port, source=source),
    )
    return Routing(config, secrets or {}, resolver or FakeResolver(), random or FakeRandom())


def hosts(road: Sequence[Host] | NoRoad) -> list[Host]:
    assert not isinstance(road, NoRoad), road
    return list(road)


def wheres(road: Sequence[Host] | NoRoad) -> list[str]:
    return [str(host.where) for host in hosts(road)]


# -- MX


async def test_preference_order_and_opportunistic_tls() -> None:
    resolver = FakeResolver(
        mx={"far.test": [(20, "b.far.test"), (10, "a.far.test")]},
        addresses={"a.far.test": [PUBLIC], "b.far.test": [OTHER]},
    )
    road = hosts(await routing(resolver).road("mx:far.test"))
    tls = TlsMode(name="a.far.test")
    site = "a.far.test b.far.test"
    assert road[0] == Host(Endpoint(PUBLIC, 25), "a.far.test", tls, opportunistic=True, site=site, by_mx=True)
    assert wheres(road) == [f"{PUBLIC}:25", f"{OTHER}:25"]


async def test_a_site_is_named_by_all_hosts_also_when_only_some_are_tried() -> None:
    many = [(10, f"mx{number}.far.test") for number in range(30)]
    resolver = FakeResolver(mx={"far.test": many}, addresses={host: [PUBLIC] for _, host in many})
    first, second = [hosts(await routing(resolver).road("mx:far.test"))[0] for _ in range(2)]
    assert first.site == second.site
    assert "29 more" in first.site


async def test_chance_among_equals_but_never_across_preferences() -> None:
    resolver = FakeResolver(
        mx={"far.test": [(10, "a.test"), (10, "b.test"), (5, "first.test")]},
        addresses={"a.test": [PUBLIC], "b.test": [OTHER], "first.test": ["20.0.0.9"]},
    )
    seen = set()
    for seed in range(30):
        order = wheres(await routing(resolver, random=FakeRandom(seed)).road("mx:far.test"))
        assert order[0] == "20.0.0.9:25"
        seen.add(tuple(order[1:]))
    assert len(seen) == 2


async def test_families_alternate() -> None:
    resolver = FakeResolver(mx={"far.test": [(1, "a.test")]}, addresses={"a.test": [PUBLIC, OTHER, SIX]})
    assert wheres(await routing(resolver).road("mx:far.test")) == [f"[{SIX}]:25", f"{PUBLIC}:25", f"{OTHER}:25"]
    assert alternate([]) == []


async def test_without_mx_the_domain_itself() -> None:
    resolver = FakeResolver(addresses={"far.test": [PUBLIC]})
    assert wheres(await routing(resolver).road("mx:far.test")) == [f"{PUBLIC}:25"]


@pytest.mark.parametrize(
    ("resolver", "code", "status"),
    [
        (FakeResolver(mx={"far.test": [(0, "")]}), 556, "5.1.10"),
        (FakeResolver(), 550, "5.1.2"),
        (FakeResolver(mx={"far.test": []}), 550, "5.1.2"),
        (FakeResolver(failing=["far.test"]), 451, "4.4.3"),
        (FakeResolver(mx={"far.test": [(1, "a.test")]}), 550, "5.4.4"),
        (FakeResolver(mx={"far.test": [(1, "a.test")]}, failing=["a.test"]), 451, "4.4.3"),
        (FakeResolver(mx={"far.test": [(1, "a.test")]}, addresses={"a.test": ["127.0.0.1"]}), 554, "5.4.6"),
        (FakeResolver(mx={"far.test": [(1, "a.test")]}, addresses={"a.test": ["10.0.0.1"]}), 550, "5.4.4"),
        (FakeResolver(mx={"far.test": [(1, "a.test")]}, addresses={"a.test": ["::ffff:10.0.0.1"]}), 550, "5.4.4"),
    ],
)
async def test_no_road(resolver: FakeResolver, code: int, status: str) -> None:
    road = await routing(resolver).road("mx:far.test")
    assert isinstance(road, NoRoad)
    assert (road.code, road.status) == (code, status)
    assert road.text


async def test_one_unusable_host_does_not_spoil_the_others() -> None:
    resolver = FakeResolver(
        mx={"far.test": [(1, "bad.test"), (2, "inside.test"), (3, "gone.test"), (4, "good.test")]},
        addresses={"inside.test": ["192.168.0.1"], "good.test": [PUBLIC]},
        failing=["bad.test"],
    )
    assert wheres(await routing(resolver).road("mx:far.test")) == [f"{PUBLIC}:25"]


async def test_a_null_mx_beside_others_is_ignored() -> None:
    resolver = FakeResolver(mx={"far.test": [(0, ""), (1, "a.test")]}, addresses={"a.test": [PUBLIC]})
    assert wheres(await routing(resolver).road("mx:far.test")) == [f"{PUBLIC}:25"]


async def test_the_lab_may_allow_special_addresses_and_its_own_port() -> None:
    resolver = FakeResolver(addresses={"far.test": ["127.0.0.1"]})
    lab = routing(resolver, relay=("127.0.0.1:2525",), allow=("127.0.0.0/8",), mx_port=3525)
    assert wheres(await lab.road("mx:far.test")) == ["127.0.0.1:3525"]


# -- ourselves (RFC 5321 §5.1)


async def test_we_are_the_backup_only_better_hosts_are_tried() -> None:
    resolver = FakeResolver(
        mx={"far.test": [(10, "a.test"), (20, "mail.example.test"), (20, "b.test"), (30, "c.test")]},
        addresses={"a.test": [PUBLIC], "mail.example.test": ["20.0.0.7"], "b.test": [OTHER], "c.test": ["20.0.0.3"]},
    )
    assert wheres(await routing(resolver).road("mx:far.test")) == [f"{PUBLIC}:25"]


async def test_we_are_the_backup_among_more_hosts_than_are_looked_at() -> None:
    """Chance may leave ourselves out of the sixteen; hosts as far away as we are would send the letter to us."""
    others = [(20, f"h{number}.test") for number in range(40)]
    resolver = FakeResolver(
        mx={"far.test": [(10, "a.test"), (20, "mail.example.test"), *others]},
        addresses={"a.test": [PUBLIC]} | {name: [OTHER] for _, name in others},
    )
    for seed in range(10):
        assert wheres(await routing(resolver, random=FakeRandom(seed)).road("mx:far.test")) == [f"{PUBLIC}:25"]


async def test_addresses_and_names_that_we_send_from_are_ours() -> None:
    sources = (Source(address="20.0.0.5", helo="mx5.example.test"),)
    resolver = FakeResolver(
        mx={"far.test": [(1, "mx5.example.test")], "other.test": [(1, "x.test")]},
        addresses={"mx5.example.test": [PUBLIC], "x.test": ["20.0.0.5"]},
    )
    for domain in ("far.test", "other.test"):
        road = await routing(resolver, sources=sources).road(f"mx:{domain}")
        assert isinstance(road, NoRoad)
        assert road.status == "5.4.6"


async def test_an_mx_that_is_an_address_is_no_host() -> None:
    resolver = FakeResolver(
        mx={"far.test": [(1, PUBLIC)], "mixed.test": [(1, PUBLIC), (2, "a.test")]}, addresses={"a.test": [OTHER]}
    )
    road = await routing(resolver).road("mx:far.test")
    assert isinstance(road, NoRoad)
    assert (road.code, road.status) == (550, "5.4.4")
    assert wheres(await routing(resolver).road("mx:mixed.test")) == [f"{OTHER}:25"]


@pytest.mark.parametrize(
    ("name", "address", "relay", "mx_port", "loops"),
    [
        ("mail.example.test", "20.0.0.7", ("0.0.0.0:25",), 25, True),
        ("other.test", "20.0.0.7", ("0.0.0.0:25",), 25, True),  # our hostname's address
        ("other.test", "20.0.0.8", ("20.0.0.8:25",), 25, True),  # where we listen
        ("other.test", "20.0.0.8", ("20.0.0.8:2525",), 25, False),  # another server on our machine
        ("other.test", "20.0.0.9", ("0.0.0.0:25",), 25, False),
        ("other.test", "127.0.0.1", ("0.0.0.0:25",), 25, True),
        ("other.test", "::ffff:20.0.0.8", ("20.0.0.8:25",), 25, True),  # the same, spelled as IPv6
        ("other.test", "2a00:1450::1", ("[2A00:1450:0::1]:25",), 25, True),
    ],
)
async def test_never_to_ourselves(name: str, address: str, relay: tuple[str, ...], mx_port: int, loops: bool) -> None:
    resolver = FakeResolver(
        mx={"far.test": [(10, name)]}, addresses={"mail.example.test": ["20.0.0.7"], "other.test": [address]}
    )
    road = await routing(resolver, relay=relay, mx_port=mx_port, allow=("127.0.0.0/8",)).road("mx:far.test")
    assert isinstance(road, NoRoad) is loops
    if isinstance(road, NoRoad):
        assert (road.code, road.status) == (554, "5.4.6")


# -- address literals


async def test_literals() -> None:
    table = routing()
    four, six = await table.road(f"mx:[{PUBLIC}]"), await table.road(f"mx:[ipv6:{SIX}]")
    assert wheres(four) == [f"{PUBLIC}:25"]
    assert hosts(four)[0].tls == TlsMode()
    assert wheres(six) == [f"[{SIX}]:25"]
    for key, status in (
        ("mx:[10.0.0.1]", "5.4.4"),
        ("mx:[127.0.0.1]", "5.4.6"),
        ("mx:[nonsense]", "5.1.2"),
        ("mx:[ipv6:1]", "5.1.2"),
    ):
        road = await table.road(key)
        assert isinstance(road, NoRoad), key
        assert road.status == status


# -- routes


async def test_targets_in_order_special_addresses_included() -> None:
    resolver = FakeResolver(addresses={"a.lan": ["10.0.0.1"]})
    route = Route(match="*", to=("smtp://gone.lan:26", "smtp://a.lan:27", "lmtp://[::1]", "lmtp+unix:///run/lmtp"))
    road = hosts(await routing(resolver, route).road("route:*"))
    assert [str(host.where) for host in road] == ["10.0.0.1:27", "[::1]:24", "/run/lmtp"]
    assert [host.lmtp for host in road] == [False, True, True]
    assert road[2].tls == TlsMode(allowed=False)


async def test_localhost_is_no_question_for_the_dns() -> None:
    resolver = FakeResolver()
    road = await routing(resolver, Route(match="*", to=("smtp://localhost:26",))).road("route:*")
    assert wheres(road) == ["127.0.0.1:26", "[::1]:26"]
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("url", "tls", "username", "mode", "opportunistic"),
    [
        ("smtp://h.lan", "", "", TlsMode(name="h.lan"), True),
        ("smtp://h.lan", "opportunistic", "", TlsMode(name="h.lan"), True),
        ("smtp://h.lan", "none", "", TlsMode(allowed=False, name="h.lan"), False),
        ("smtp://h.lan", "require", "", TlsMode(required=True, name="h.lan"), False),
        ("smtp://h.lan", "verify", "", TlsMode(required=True, verify=True, name="h.lan"), False),
        ("smtp://h.lan", "", "me", TlsMode(required=True, verify=True, name="h.lan"), False),
        ("smtps://h.lan", "", "", TlsMode(implicit=True, required=True, name="h.lan"), False),
        ("smtps://h.lan", "none", "", TlsMode(implicit=True, required=True, name="h.lan"), False),
        ("smtps://h.lan", "", "me", TlsMode(implicit=True, required=True, verify=True, name="h.lan"), False),
    ],
)
async def test_tls_of_a_route(url: str, tls: str, username: str, mode: TlsMode, opportunistic: bool) -> None:
    route = Route(match="*", to=(url,), tls=tls, username=username)
    secrets = {"*": Credentials("me", "secret")}
    table = routing(FakeResolver(addresses={"h.lan": ["10.0.0.1"]}), route, secrets=secrets)
    (host,) = hosts(await table.road("route:*"))
    assert (host.tls, host.opportunistic) == (mode, opportunistic)
    assert host.credentials == (secrets["*"] if username else None)


@pytest.mark.parametrize(
    "route",
    [
        Route(match="other", to=("smtp://10.0.0.1",)),
        Route(match="*", to=("smtp://gone.lan",)),
        Route(match="*", to=("nonsense",)),
        Route(match="*", to=("smtp://10.0.0.1",), username="me"),  # its secret is missing
        Route(match="*", to=()),
    ],
)
async def test_what_is_wrong_with_a_route_delays(route: Route) -> None:
    road = await routing(FakeResolver(), route).road("route:*")
    assert isinstance(road, NoRoad)
    assert 400 <= road.code < 500


async def test_the_first_of_equal_patterns_wins() -> None:
    routes = (Route(match="*", to=("smtp://10.0.0.1",)), Route(match="*", to=("smtp://10.0.0.2",)))
    assert wheres(await routing(None, *routes).road("route:*")) == ["10.0.0.1:25"]


async def test_a_rerouted_letter_goes_to_its_target_without_a_login() -> None:
    resolver = FakeResolver(addresses={"a.lan": ["10.0.0.1"]})
    route = Route(match="*", to=("smtp://a.lan:27",), username="me")
    (host,) = hosts(await routing(resolver, route).road("via:smtp://a.lan:27"))
    assert host == Host(
        Endpoint("10.0.0.1", 27), "a.lan", TlsMode(name="a.lan"), opportunistic=True, site="smtp://a.lan:27"
    )
    for wrong in ("via:smtp://gone.lan", "via:nonsense"):
        road = await routing(resolver).road(wrong)
        assert isinstance(road, NoRoad)
        assert road.code == 451


async def test_a_route_is_found_by_its_name() -> None:
    named = Route(match="*", sender=("a.test",), to=("smtp://10.0.0.2",), name="shop", username="me")
    table = routing(None, Route(match="*", to=("smtp://10.0.0.1",)), named, secrets={"shop": Credentials("me", "x")})
    (host,) = hosts(await table.road("route:shop"))
    assert (str(host.where), host.credentials) == ("10.0.0.2:25", Credentials("me", "x"))


# -- families and sources


async def test_a_site_may_want_one_family() -> None:
    resolver = FakeResolver(mx={"far.test": [(1, "a.test")]}, addresses={"a.test": [PUBLIC, SIX]})
    for family, expected in (("ipv4", [f"{PUBLIC}:25"]), ("ipv6", [f"[{SIX}]:25"])):
        site = Site(match="a.test", family=family)
        assert wheres(await routing(resolver, sites=(site,)).road("mx:far.test")) == expected
    resolver.address_records["a.test"] = [PUBLIC]
    road = await routing(resolver, sites=(Site(match="*.test", family="ipv6"),)).road("mx:far.test")
    assert isinstance(road, NoRoad)
    assert (road.code, road.status) == (451, "4.4.4")
    assert '[[site]] "*.test" allows ipv6 alone' in road.text


async def test_where_connections_go_out_from() -> None:
    """The route's word comes before the site's, and that before [delivery]."""
    addresses = {"a.lan": [PUBLIC, SIX], "far.test": [PUBLIC, SIX], "other.test": [PUBLIC]}
    table = routing(
        FakeResolver(addresses=addresses),
        Route(match="*", name="via-lan", to=("smtp://a.lan", "lmtp+unix:///s"), source=("192.0.2.1", "2001:db8::1")),
        sites=(Site(match="a.lan", source=("192.0.2.2",)), Site(match="far.test", source=("192.0.2.3",))),
        source=("192.0.2.4",),
    )
    six, four, unix = hosts(await table.road("route:via-lan"))
    assert (six.source.address, four.source.address, unix.source.address) == ("2001:db8::1", "192.0.2.1", "")
    assert four.source.said_by == 'source of [[route]] "via-lan"'
    six, four = hosts(await table.road("mx:far.test"))
    assert (six.source.address, four.source.address) == ("", "192.0.2.3")
    (four,) = hosts(await table.road("mx:other.test"))
    assert (four.source.address, four.source.said_by) == ("192.0.2.4", "[delivery] source")


async def test_a_key_of_no_known_form_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no next-hop key"):
        await routing().road("local")


def test_the_secret_stays_out_of_repr() -> None:
    assert "hunter2" not in repr(Credentials("me", "hunter2"))
