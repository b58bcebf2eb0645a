"""From which of our addresses a connection goes out, and what we are called there."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Delivery, Source
from ekiden.policy import source
from ekiden.policy.source import Given, Sources

FOUR, SIX = "20.0.0.1", "2a00:1450::1"
NONE = Given((), "source of nothing")


def sources(*usual: str) -> Sources:
    names = (Source(address="192.0.2.1", helo="mx1.example.test"), Source(address="2001:db8::1"))
    return Sources(Config(hostname="h.test", data_dir="/d", source=names, delivery=Delivery(source=usual)))


def test_without_any_the_system_chooses() -> None:
    assert sources().choose(FOUR, NONE) == source.Source()


def test_one_a_family_with_its_name() -> None:
    ours = sources("192.0.2.1", "2001:db8::1")
    assert ours.choose(FOUR) == source.Source("192.0.2.1", "mx1.example.test", "[delivery] source")
    assert ours.choose(SIX) == source.Source("2001:db8::1", "", "[delivery] source")
    assert ours.choose("") == source.Source()
    assert sources("192.0.2.1").choose(SIX) == source.Source()


@pytest.mark.parametrize("nothing", [(), (NONE,)])
def test_the_first_that_is_given_decides_alone(nothing: tuple[Given, ...]) -> None:
    ours = sources("192.0.2.1", "2001:db8::1")
    route = Given(("192.0.2.2",), "source of a route")
    assert ours.choose(FOUR, *nothing, route) == source.Source("192.0.2.2", "", "source of a route")
    assert ours.choose(SIX, *nothing, route) == source.Source()
