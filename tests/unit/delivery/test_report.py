"""Who is told what (RFC 3461 §5.2, invariant 9)."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.delivery.report import EXPANDED_TO_SEVERAL, judge, needs_judgement, targets_notify
from ekiden.model.envelope import Envelope, Notify, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind

ENVELOPE = Envelope("a@example.test", 0.0, Origin())
NEVER, SUCCESS, FAILURE, DELAY = Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY
K = OutcomeKind


@pytest.mark.parametrize(
    ("kind", "notify", "late", "report"),
    [
        (K.FAILED, (), False, "failed"),
        (K.FAILED, (FAILURE,), False, "failed"),
        (K.FAILED, (NEVER,), False, ""),
        (K.FAILED, (SUCCESS, DELAY), False, ""),
        (K.DELAYED, (), False, ""),
        (K.DELAYED, (), True, "delayed"),
        (K.DELAYED, (DELAY,), True, "delayed"),
        (K.DELAYED, (FAILURE,), True, ""),
        (K.RELAYED, (), False, ""),
        (K.RELAYED, (SUCCESS,), False, "relayed"),
        (K.RELAYED, (FAILURE,), False, ""),
        (K.DELIVERED, (SUCCESS,), False, "relayed"),
        (K.EXPANDED, (SUCCESS,), False, ""),
        (K.REMOVED, (SUCCESS,), False, ""),
    ],
)
def test_wishes(kind: OutcomeKind, notify: tuple[Notify, ...], late: bool, report: str) -> None:
    recipient, outcome = Recipient("b@far.test", notify), Outcome("b@far.test", kind)
    verdicts = judge(ENVELOPE, [recipient], [outcome], late=late)
    assert list(verdicts.reports) == ([report] if report else [])
    assert bool(verdicts.withheld) is (kind is K.FAILED and not report)
    if report:
        assert needs_judgement([recipient], [outcome], late=late)


def test_a_peer_that_took_over_the_wish_tells_of_success_itself() -> None:
    outcome = Outcome("b@far.test", K.RELAYED, dsn_relayed=True)
    assert not judge(ENVELOPE, [Recipient("b@far.test", (SUCCESS,))], [outcome], late=False).reports


def test_an_alias_with_several_targets_is_told_as_expanded() -> None:
    outcome = Outcome("b@far.test", K.EXPANDED, status=EXPANDED_TO_SEVERAL)
    assert judge(ENVELOPE, [Recipient("b@far.test", (SUCCESS,))], [outcome], late=False).reports


@pytest.mark.parametrize("envelope", [Envelope("", 0.0, Origin()), Envelope("a@x.test", 0.0, Origin(), is_report=True)])
def test_never_about_a_report_or_to_nobody(envelope: Envelope) -> None:
    failed, delayed = Outcome("b@far.test", K.FAILED), Outcome("c@far.test", K.DELAYED)
    recipients = [Recipient("b@far.test", (FAILURE,)), Recipient("c@far.test", (DELAY,))]
    verdicts = judge(envelope, recipients, [failed, delayed], late=True)
    assert not verdicts.reports
    assert [path for path, _ in verdicts.withheld] == ["b@far.test"]


def test_a_delay_is_told_once() -> None:
    recipient = Recipient("b@far.test", delay_reported=True)
    assert not judge(ENVELOPE, [recipient], [Outcome("b@far.test", K.DELAYED)], late=True).reports


def test_the_usual_path_needs_no_judgement() -> None:
    recipient = Recipient("b@far.test")
    for kind in (K.RELAYED, K.DELIVERED, K.DELAYED, K.EXPANDED):
        assert not needs_judgement([recipient], [Outcome("b@far.test", kind)], late=False)
    assert needs_judgement([recipient], [Outcome("b@far.test", K.FAILED)], late=False)
    asked = msgspec.structs.replace(recipient, notify=(SUCCESS,))
    assert needs_judgement([asked], [Outcome("b@far.test", K.RELAYED)], late=False)


@pytest.mark.parametrize(
    ("notify", "targets", "inherited"),
    [
        ((), 3, ()),
        ((SUCCESS, FAILURE), 1, (SUCCESS, FAILURE)),
        ((SUCCESS, FAILURE), 2, (FAILURE,)),
        ((SUCCESS,), 2, (NEVER,)),
        ((NEVER,), 2, (NEVER,)),
    ],
)
def test_what_targets_inherit(notify: tuple[Notify, ...], targets: int, inherited: tuple[Notify, ...]) -> None:
    assert targets_notify(notify, targets) == inherited
