"""Names of sites: the same set of hosts, the same name."""

from __future__ import annotations

from ekiden.config.model import Route
from ekiden.delivery.site_name import LONGEST, route_site_name, site_name


def test_the_order_of_the_hosts_does_not_matter() -> None:
    assert site_name(["b.test", "a.test", "b.test"]) == site_name(["a.test", "b.test"]) == "a.test b.test"
    assert site_name(["a.test"]) != site_name(["a.test", "b.test"])


def test_a_long_name_is_cut_and_still_tells_sets_apart() -> None:
    many = [f"mx{number:03}.example.test" for number in range(100)]
    name = site_name(many)
    assert len(name) < LONGEST + 50
    assert name.startswith("mx000.example.test and 99 more")
    assert name != site_name(many[:-1])
    assert name == site_name(reversed(many))


def test_routes_to_the_same_targets_are_one_site_unless_they_differ() -> None:
    one = Route(match="one.test", to=("smtp://10.0.0.1",))
    two = Route(match="two.test", to=("smtp://10.0.0.1",))
    assert route_site_name(one) == route_site_name(two)
    login = Route(match="three.test", to=("smtp://10.0.0.1",), username="me")
    strict = Route(match="four.test", to=("smtp://10.0.0.1",), tls="require")
    assert len({route_site_name(route) for route in (one, login, strict)}) == 3
