"""Replies to outcomes."""

from __future__ import annotations

import pytest

from ekiden.delivery.attempt import IMMEDIATE_RETRIES, Attempt, outcome_of
from ekiden.model.outcome import OutcomeKind
from ekiden.model.reply import Reply
from tests.unit.delivery.letters import claim

OK = Reply(250, "2.0.0", "queued")
TOO_MANY = Reply(452, "4.5.3", "too many recipients")


def kinds(attempt: Attempt) -> list[OutcomeKind | None]:
    return [outcome and outcome.kind for outcome in attempt.outcomes]


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [
        (OK, OutcomeKind.RELAYED, "2.0.0"),
        (Reply(251, "", "will forward"), OutcomeKind.RELAYED, "2.0.0"),
        (Reply(550, "5.1.1", "no"), OutcomeKind.FAILED, "5.1.1"),
        (Reply(550, "", "no"), OutcomeKind.FAILED, "5.0.0"),
        (Reply(450, "", "later"), OutcomeKind.DELAYED, "4.0.0"),
        (Reply(354, "", "what?"), OutcomeKind.DELAYED, "4.0.0"),
    ],
)
def test_one_reply(reply: Reply, kind: OutcomeKind, status: str) -> None:
    outcome = outcome_of("b@far.test", reply, "mx.far.test", "TLSv1.3", dsn=True)
    assert (outcome.kind, outcome.status, outcome.remote, outcome.tls) == (kind, status, "mx.far.test", "TLSv1.3")
    assert outcome.dsn_relayed is (kind is OutcomeKind.RELAYED)


def test_each_recipient_has_its_own() -> None:
    attempt = Attempt(claim("a@far.test", "b@far.test", "c@far.test"))
    assert attempt.next_batch(100) is attempt.claim.leg.recipients
    attempt.take_replies([OK, Reply(550, "5.1.1", "no"), Reply(450, "4.2.1", "later")], dsn=False)
    assert kinds(attempt) == [OutcomeKind.RELAYED, OutcomeKind.FAILED, OutcomeKind.DELAYED]
    assert attempt.is_decided


def test_split_at_the_limit() -> None:
    attempt = Attempt(claim(*(f"{n}@far.test" for n in range(5))))
    sizes = []
    while not attempt.is_decided:
        sizes.append(len(attempt.next_batch(2)))
        attempt.take_replies([OK] * sizes[-1], dsn=False)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("reply", [TOO_MANY, Reply(452, "", "too many"), Reply(552, "5.5.3", "too many")])
def test_too_many_go_again_at_once_as_long_as_somebody_was_taken(reply: Reply) -> None:
    attempt = Attempt(claim("a@far.test", "b@far.test", "c@far.test"))
    attempt.next_batch(100)
    attempt.take_replies([OK, reply, reply], dsn=False)
    assert kinds(attempt) == [OutcomeKind.RELAYED, None, None]
    assert [r.forward_path for r in attempt.next_batch(100)] == ["b@far.test", "c@far.test"]
    attempt.take_replies([reply, reply], dsn=False)
    assert None not in kinds(attempt)  # nobody was taken: no progress, no loop


@pytest.mark.parametrize("reply", [Reply(452, "4.2.2", "mailbox full"), Reply(552, "5.2.2", "mailbox full")])
def test_a_full_mailbox_is_no_limit_of_the_transaction(reply: Reply) -> None:
    attempt = Attempt(claim("a@far.test", "b@far.test"))
    attempt.next_batch(100)
    attempt.take_replies([OK, reply], dsn=False)
    assert attempt.is_decided


def test_the_rest_is_decided_alike_and_what_was_decided_stays() -> None:
    attempt = Attempt(claim("a@far.test", "b@far.test"))
    attempt.next_batch(1)
    attempt.take_replies([OK], dsn=False)
    attempt.decide_rest(OutcomeKind.DELAYED, 451, "4.4.2", "lost", "mx.far.test")
    assert kinds(attempt) == [OutcomeKind.RELAYED, OutcomeKind.DELAYED]
    assert not attempt.is_untouched


def test_immediate_retries_end() -> None:
    attempt = Attempt(claim())
    assert [attempt.may_go_again() for _ in range(IMMEDIATE_RETRIES + 1)] == [True] * IMMEDIATE_RETRIES + [False]
