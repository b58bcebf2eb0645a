"""docs/protection.md is what the guards say."""

from __future__ import annotations

import msgspec
import pytest
from tools.protection_page import PAGE, default, main, render, value_of

from ekiden.config.model import Limits
from ekiden.model.events import Event
from ekiden.policy import guards
from ekiden.policy.guards import GUARDS, Guard

#: The client is told, each time; an event each would be a flood.
WITHOUT_EVENT = {"connections-total", "recipients", "tarpit"}
#: Keys of [limits] that defend nothing.
NO_GUARDS = {"limits.priority", "limits.drain"}


def test_the_page_is_up_to_date() -> None:
    """Red? Run: python tools/protection_page.py."""
    assert main(["--check"]) == 0


def test_every_guard_is_on_the_page_and_its_event_is_one() -> None:
    defined = {value for value in vars(guards).values() if isinstance(value, Guard)}
    assert defined == set(GUARDS)
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)
    tags = {str(kind.__struct_config__.tag) for kind in Event.__subclasses__()}
    assert {guard.event for guard in GUARDS if guard.event} <= tags
    assert all(f"## {guard.name}\n" in render() for guard in GUARDS)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_says_what_it_does_its_default_and_what_changes_it(guard: Guard) -> None:
    assert guard.does.endswith("."), "sentences"
    assert guard.keys, "each can be changed"
    for key in guard.keys:
        value_of(key)  # red: there is no such key
    assert f"| [{guard.name}](#{guard.name}) | {default(guard)} | " in render()
    assert bool(guard.event) is (guard.name not in WITHOUT_EVENT)


def test_an_event_of_a_guard_is_on_the_page_of_events() -> None:
    page = (PAGE.parent / "events.md").read_text(encoding="utf-8")
    assert all(f"### {guard.event}\n" in page for guard in GUARDS if guard.event)


def test_every_limit_belongs_to_a_guard() -> None:
    """Red for a new key of [limits]? Name it in the `keys` of the guard that it changes."""
    named = {key for guard in GUARDS for key in guard.keys}
    assert {f"limits.{field.name}" for field in msgspec.structs.fields(Limits)} - named == NO_GUARDS


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (("limits.message_size",), "50 MiB"),
        (("limits.sessions", "relay.trusted_networks"), "10,000"),
        (("relay.trusted_networks",), "on"),
        (("watch.anomaly_mail",), "on"),
        (("limits.errors", "limits.hops"), "10, 100"),
    ],
)
def test_defaults_are_the_numbers_and_switches(keys: tuple[str, ...], shown: str) -> None:
    assert default(Guard("x", "Does.", "", keys)) == shown


def test_a_page_that_is_old_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tools.protection_page.PAGE", tmp_path / "protection.md")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
