"""Steering the queue of a server that runs: hold, release and bounce as a person does them, seen in mailboxes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ekiden.lab.mailprogram import Sent, send
from tests.integration.conftest import Town, eventually, make_town


@pytest.fixture
def town(tmp_path) -> Iterator[Town]:
    """Here far.test is down, so that letters to it wait."""
    town = make_town(tmp_path)
    town.away.stop()
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def posted(town: Town, to: str) -> Sent:
    login = "alice@example.test"
    return send(town.home.ports["submission"], town.context(town.home), login, town.passwords[login], to)


def waiting(town: Town) -> Sent:
    """A letter to carol that was tried and now waits."""
    sent = posted(town, "carol@far.test")
    eventually(lambda: listed(town, "--state", "waiting"), "the letter waits")
    return sent


def listed(town: Town, *options: str) -> list[str]:
    return [found["letter"] for found in json.loads(town.home.command("queue", "list", "--json", *options).stdout)]


def test_what_is_held_goes_when_it_is_released_and_not_before(town: Town) -> None:
    sent = waiting(town)
    assert town.home.command("queue", "hold", sent.letter, "--reason", "ask alice").stdout == "1 leg held\n"
    town.away.start()
    other = posted(town, "carol@far.test")
    town.home.command("queue", "retry", "--all")
    town.wait_for("carol@far.test", other.token)
    town.home.stop()  # nor does a restart forget it
    town.home.start()
    assert listed(town) == listed(town, "--state", "held") == [sent.letter]
    assert not [letter for letter in town.read("carol@far.test") if sent.token.encode() in letter]
    assert "ask alice" in town.home.command("queue", "show", sent.letter).stdout
    assert town.home.command("queue", "release", sent.letter).stdout == "1 leg released\n"
    town.wait_for("carol@far.test", sent.token)


def test_what_is_bounced_comes_back_with_the_reason(town: Town) -> None:
    sent = waiting(town)
    arguments = ("queue", "bounce", "--all", "--domain", "far.test", "--reason", "far.test has closed for good")
    assert town.home.command(*arguments).stdout == "bounced 1 leg\n"
    report = town.wait_for("alice@example.test", sent.token)
    assert b"far.test has closed for good" in report
    assert b"Action: failed" in report
    eventually(lambda: not listed(town), "the queue is empty")
