"""docs/events.md is what the events say."""

from __future__ import annotations

from tools.event_table import classes, main, render

from ekiden.model.events import Event


def test_the_page_is_up_to_date() -> None:
    """Red? Run: python tools/event_table.py."""
    assert main(["--check"]) == 0


def test_every_event_of_the_program_stands_in_the_page() -> None:
    """Also one that somebody would define elsewhere."""
    page = render()
    assert {kind for _, kind in classes()} == set(Event.__subclasses__())
    assert all(f"### {name}\n" in page for name, _ in classes())


def test_names_are_noun_and_verb_and_there_once() -> None:
    names = [name for name, _ in classes()]
    assert len(set(names)) == len(names)
    assert all(len(name.split(".")) == 2 for name in names)


def test_wrong_usage() -> None:
    assert main(["--frobnicate"]) == 2


def test_a_page_that_is_old_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tools.event_table.PAGE", tmp_path / "events.md")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
