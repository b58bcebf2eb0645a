"""What a worker counts: the last minute, and what the store has not yet; bounded in keys."""

from __future__ import annotations

import pytest

from ekiden.model import events
from ekiden.model.measures import LETTERS_IN, LOGINS_FAILED, OTHER, REFUSED
from ekiden.telemetry.counting import CountingSink
from ekiden.telemetry.counts import KEYS_A_MINUTE, KEYS_A_SECOND, KEYS_SHOWN, SECONDS, LiveCounts
from ekiden.telemetry.guessers import HALF_SECONDS, MOST, SHOWN, Guessers
from tests.fakes.events import CollectingSink


def network(client: str) -> str:
    return f"{client.rsplit('.', 1)[0]}.0/24"


def test_a_minute_is_what_the_last_sixty_seconds_had() -> None:
    counts = LiveCounts()
    counts.add(LETTERS_IN, "relay")
    counts.add(LETTERS_IN, "relay", 4)
    assert counts.minute() == {}, "a second that is not over yet"
    counts.tick()
    assert counts.minute() == {"letters.in": {"relay": 5}}
    for _ in range(SECONDS - 1):
        counts.tick()
    counts.add(LETTERS_IN, "submission")
    assert counts.minute() == {"letters.in": {"relay": 5}}
    counts.tick()
    assert counts.minute() == {"letters.in": {"submission": 1}}


def test_what_is_taken_is_given_once_and_may_be_given_back() -> None:
    counts = LiveCounts()
    for _ in range(3):
        counts.add(REFUSED, "relay-denied")
        counts.tick()
    taken = counts.take()
    assert taken == {"refused": {"relay-denied": 3}}
    assert counts.take() == {}
    counts.add(REFUSED, "relay-denied")
    counts.tick()
    counts.give_back(taken)
    assert counts.take() == {"refused": {"relay-denied": 4}}


def test_a_million_names_are_bounded_and_the_total_is_right() -> None:
    counts = LiveCounts()
    for second in range(2 * SECONDS):
        for number in range(3 * KEYS_A_SECOND):
            counts.add(LOGINS_FAILED, f"{number}.{second}@example.test")
        counts.tick()
    assert counts.minute() == {"logins.failed": {"": SECONDS * 3 * KEYS_A_SECOND}}, "of accounts the sum alone"
    taken = counts.take()["logins.failed"]
    assert len(taken) <= KEYS_A_MINUTE + 1
    assert sum(taken.values()) == 2 * SECONDS * 3 * KEYS_A_SECOND
    for _ in range(SECONDS):
        counts.tick()
    assert counts.minute() == {}


def test_many_rules_are_shown_by_the_highest() -> None:
    counts = LiveCounts()
    for second in range(2 * SECONDS):
        for number in range(3 * KEYS_A_SECOND):
            counts.add(REFUSED, f"{number}.{second}")
        counts.add(REFUSED, "0.0", 100)
        counts.tick()
    shown = counts.minute()["refused"]
    assert len(shown) <= KEYS_SHOWN + 1
    assert sum(shown.values()) == SECONDS * (3 * KEYS_A_SECOND + 100)
    for _ in range(SECONDS):
        counts.tick()
    assert counts.minute() == {}


def test_a_key_called_other_shares_the_place_of_the_rest() -> None:
    counts = LiveCounts()
    for number in range(KEYS_A_SECOND + 5):
        counts.add(REFUSED, f"rule-{number}")
    counts.add(REFUSED, OTHER)
    counts.tick()
    assert sum(counts.minute()["refused"].values()) == KEYS_A_SECOND + 6


def test_guessers_are_told_by_network_the_most_first() -> None:
    guessers = Guessers(network)
    for client, times in (("192.0.2.1", 2), ("192.0.2.9", 2), ("198.51.100.7", 3)):
        for _ in range(times):
            guessers.failed(client)
    assert guessers.most() == [("192.0.2.0/24", 4), ("198.51.100.0/24", 3)]


def test_guessers_are_forgotten_after_an_hour_at_most() -> None:
    guessers = Guessers(network)
    guessers.tick(0.0)
    guessers.failed("192.0.2.1")
    guessers.tick(HALF_SECONDS)
    guessers.failed("192.0.2.1")
    assert guessers.most() == [("192.0.2.0/24", 2)]
    guessers.tick(2 * HALF_SECONDS)
    assert guessers.most() == [("192.0.2.0/24", 1)]
    guessers.tick(3 * HALF_SECONDS)
    assert guessers.most() == []


def test_guessers_from_everywhere_do_not_push_out_the_worst() -> None:
    guessers = Guessers(lambda client: client)
    for _ in range(3):
        guessers.failed("worst")
    for number in range(5 * MOST):
        guessers.failed(str(number))
    assert guessers.most()[0] == ("worst", 3)
    assert len(guessers.most()) <= SHOWN


REFUSAL = {"session": "s", "door": "relay", "client": "192.0.2.1", "reverse_path": "", "rule": "r", "reply": "550"}


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (events.LetterAccepted(letter="l", door="relay"), {"letters.in": {"relay": 1}}),
        (
            events.LetterAccepted(letter="l", door="submission", account="a@x.test"),
            {"letters.in": {"submission": 1}, "letters.of": {"a@x.test": 1}},
        ),
        (events.LetterAccepted(letter="l"), {"letters.in": {"own": 1}}),
        (
            events.AttemptFinished(
                letter="l", leg=1, attempt=1, next_hop="mx:far.test",
                outcomes={"relayed": 2, "delivered": 1, "failed": 4, "delayed": 5, "expanded": 1},
            ),
            {"letters.out": {"mx:far.test": 1}, "bounced": {"mx:far.test": 4}, "delayed": {"mx:far.test": 5}},
        ),
        (
            events.AttemptSkipped(letter="l", leg=1, next_hop="mx:far.test", outcomes={"failed": 1}),
            {"bounced": {"mx:far.test": 1}},
        ),
        (events.RecipientRefused(**REFUSAL, forward_path="b@x.test"), {"refused": {"r": 1}}),
        (events.SenderRefused(**REFUSAL, account="a@x.test"), {"refused": {"r": 1}}),
        (events.LetterRefused(**REFUSAL), {"refused": {"r": 1}}),
        (
            events.LoginFailed(
                session="s", door="pop3", client="192.0.2.1", account="a@x.test", mechanism="PLAIN", reason="x"
            ),
            {"logins.failed": {"a@x.test": 1}},
        ),
        (
            events.LoginSucceeded(session="s", door="pop3", client="192.0.2.1", account="a@x.test", mechanism="PLAIN"),
            {"logins": {"pop3": 1}},
        ),
        (
            events.SessionClosed(session="s", door="relay", client="192.0.2.1", reason="quit"),
            {"sessions": {"relay": 1}},
        ),
        (events.ServerChanged(what="started"), {}),
    ],
)  # fmt: skip
def test_events_are_counted_and_handed_on(event: events.Event, counted: dict[str, dict[str, int]]) -> None:
    counts, guessers, sink = LiveCounts(), Guessers(network), CollectingSink()
    CountingSink(sink, counts, guessers).emit(event)
    counts.tick()
    assert counts.take() == counted
    assert sink.events == [event]
    assert bool(guessers.most()) is isinstance(event, events.LoginFailed)
