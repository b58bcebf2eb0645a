"""docs/protection.md is what the guards say."""

from __future__ import annotations

from tools.protection_page import main, render

from ekiden.model.events import Event
from ekiden.policy import guards
from ekiden.policy.guards import GUARDS, Guard


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


def test_a_page_that_is_old_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tools.protection_page.PAGE", tmp_path / "protection.md")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
