"""Who is told what about an attempt (RFC 3461 §5.2, RFC 5321 §6.1). Pure.

Rules
1. Never a report about a report, nor to the null reverse-path (invariant 9): what fails there is an event.
2. The sender's NOTIFY decides (RFC 3461 §4.1); silence means FAILURE and DELAY. A failure that he does not want to
   hear of is an event too: no letter vanishes without a word (invariant 2).
3. A delay is told once a recipient.
4. Success is told when asked for: `delivered` by us, `relayed` to a server that did not take over the wish,
   `expanded` for an alias with several targets, whose targets are then not asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ekiden.model.envelope import Envelope, Notify, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind

#: Kinds of reports: those of `message.dsn`.
FAILED, DELAYED, SUCCESS = "failed", "delayed", "relayed"


class Verdicts(NamedTuple):
    """`reports`: kind -> the recipients it is about. `withheld`: (forward-path, reason)."""

    reports: dict[str, list[tuple[Recipient, Outcome]]]
    withheld: list[tuple[str, str]]


def judge(envelope: Envelope, recipients: Sequence[Recipient], outcomes: Sequence[Outcome], *, late: bool) -> Verdicts:
    """`late`: the delay is long enough to be told."""
    reports: dict[str, list[tuple[Recipient, Outcome]]] = {}
    withheld: list[tuple[str, str]] = []
    nobody = _nobody_to_tell(envelope)
    for recipient, outcome in zip(recipients, outcomes, strict=True):
        kind = _kind(recipient, outcome, late=late)
        if not kind:
            continue
        reason = nobody or _unwanted(recipient, kind)
        if not reason:
            reports.setdefault(kind, []).append((recipient, outcome))
        elif kind == FAILED:
            withheld.append((recipient.forward_path, reason))
    return Verdicts(reports, withheld)


def needs_judgement(recipients: Sequence[Recipient], outcomes: Sequence[Outcome], *, late: bool) -> bool:
    """False on the usual path (everything relayed or delivered, nobody asked to hear of it): nothing to decide."""
    for recipient, outcome in zip(recipients, outcomes, strict=True):
        if recipient.notify or outcome.kind is OutcomeKind.FAILED or (late and outcome.kind is OutcomeKind.DELAYED):
            return True
    return False


def _kind(recipient: Recipient, outcome: Outcome, *, late: bool) -> str:
    match outcome.kind:
        case OutcomeKind.FAILED:
            return FAILED
        case OutcomeKind.DELAYED:
            return DELAYED if late and not recipient.delay_reported else ""
        case OutcomeKind.DELIVERED:
            return SUCCESS
        case OutcomeKind.RELAYED:
            return "" if outcome.dsn_relayed else SUCCESS
        case OutcomeKind.EXPANDED:
            return SUCCESS if outcome.status == EXPANDED_TO_SEVERAL else ""
        case _:
            return ""


#: Marks an expansion to several targets (RFC 3463: other or undefined address status, success).
EXPANDED_TO_SEVERAL = "2.1.0"


def _nobody_to_tell(envelope: Envelope) -> str:
    if envelope.is_report:
        return "never a report about a report"
    if not envelope.reverse_path:
        return "the reverse-path is null"
    return ""


def _unwanted(recipient: Recipient, kind: str) -> str:
    asked = recipient.notify
    wish = {FAILED: Notify.FAILURE, DELAYED: Notify.DELAY}.get(kind, Notify.SUCCESS)
    if wish in asked or (not asked and kind != SUCCESS):
        return ""
    return f"the sender asked not to hear of it (NOTIFY={','.join(asked) or 'none'})"


def targets_notify(notify: tuple[Notify, ...], targets: int) -> tuple[Notify, ...]:
    """What the targets of an alias inherit. RFC 3461 §5.2.7.2 for one target: everything. For several: all but
    SUCCESS, which the `expanded` report answers; who asked for nothing else is told nothing else."""
    if targets < 2 or Notify.SUCCESS not in notify:
        return notify
    return tuple(wish for wish in notify if wish is not Notify.SUCCESS) or (Notify.NEVER,)
