"""Which letters a route is for, what it is called, and which routes are never used."""

from __future__ import annotations

import pytest

from ekiden.config.model import Route
from ekiden.model.mailbox import Mailbox
from ekiden.policy.route_match import mailbox_of, never_reached, pattern_matches, route_name, sender_matches


def route(
    match: str = "*", *, sender: tuple[str, ...] = (), account: tuple[str, ...] = (), after: int = 0, name: str = ""
) -> Route:
    return Route(match=match, sender=sender, account=account, after_attempts=after, name=name, to=("smtp://a",))


def test_mailbox_of() -> None:
    assert mailbox_of('"a@b"@c.test') == Mailbox('"a@b"', "c.test")
    assert mailbox_of("postmaster") == Mailbox("postmaster", "")


def test_pattern_star_takes_everything() -> None:
    assert pattern_matches("*", "")


@pytest.mark.parametrize(
    ("pattern", "reverse_path", "fits"),
    [
        ("<>", "", True),
        ("<>", "a@b.test", False),
        ("b.test", "", False),
        ("b.test", "a@B.test", True),
        ("b.test", "a@x.b.test", False),
        ("*.b.test", "a@x.b.test", True),
        ("A@b.test", "a@b.test", True),
        ("a@b.test", "aa@b.test", False),
        ("bücher.test", "a@xn--bcher-kva.test", True),
    ],
)
def test_senders(pattern: str, reverse_path: str, fits: bool) -> None:
    assert sender_matches(pattern, reverse_path) is fits


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (route("FAR.test"), "FAR.test"),
        (route("*", name="backup", after=2), "backup"),
        (
            route("*", sender=("a.test", "b.test"), account=("x@a.test",), after=2),
            "*,sender=a.test,account=x@a.test,after=2",
        ),
    ],
)
def test_names(one: Route, name: str) -> None:
    assert route_name(one) == name


@pytest.mark.parametrize(
    ("above", "below", "reached"),
    [
        (route("*"), route("far.test"), False),
        (route("*"), route("example.test"), True),  # ours: the bare * leaves it out
        (route("*"), route("*.test"), True),  # ours is below it
        (route("*.far.test"), route("x.FAR.test"), False),
        (route("*.far.test"), route("far.test"), True),
        (route("*.far.test"), route("*.x.far.test"), False),
        (route("x.far.test"), route("*.far.test"), True),
        (route(sender=("a.test",)), route(), True),
        (route(), route(sender=("a.test",)), False),
        (route(sender=("a.test",)), route(sender=("b@A.test",)), False),
        (route(sender=("*.a.test",)), route(sender=("x.a.test", "b@y.a.test")), False),
        (route(sender=("a.test",)), route(sender=("a.test", "b.test")), True),
        (route(sender=("<>",)), route(sender=("a@b.test",)), True),
        (route(account=("*",)), route(account=("a@b.test",)), False),
        (route(account=("a@b.test",)), route(account=("*",)), True),
        (route(account=("a@b.test",)), route(), True),
        (route(after=2), route(after=3), False),
        (route(after=3), route(), True),
        (route(), route(after=3), False),
    ],
)
def test_never_reached(above: Route, below: Route, reached: bool) -> None:
    found = never_reached([above, below], {"example.test"})
    assert found == ([] if reached else [(1, 0)])
