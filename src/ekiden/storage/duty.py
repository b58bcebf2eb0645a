"""What every spool engine owes, whatever it stores in: the checks at the two doors and the trail's wording. Pure.

A letter enters through `accept` and leaves through `record`; a caller that would let a recipient vanish between the
two is stopped here (invariant 2), before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ekiden.model.envelope import Leg, NewLeg, Recipient
from ekiden.model.outcome import OutcomeKind
from ekiden.ports.spool import Record, TrailEntry

#: Content up to here lies in memory and beside its letter; beyond, in a file of its own. Two thirds of all letters
#: of people and nearly all of machines are smaller.
SMALL_OCTETS: Final = 64 * 1024
#: What `Content.chunks` gives at once, at most.
CHUNK_OCTETS: Final = 64 * 1024
#: The `hold_reason` of what is held without one: an empty one means that the leg is not held.
UNTOLD: Final = "no reason given"


def check_legs(legs: Sequence[NewLeg]) -> None:
    """Raises ValueError for a letter that nobody would ever get, or that is held in part."""
    if not legs:
        raise ValueError("a letter without legs would vanish")
    for leg in legs:
        if leg.hold_reason != legs[0].hold_reason:
            raise ValueError("a letter is held with all its legs or with none")
        if not leg.recipients:
            raise ValueError(f"the leg to {leg.next_hop} has no recipients")


def check_record(record: Record) -> None:
    """Raises ValueError if a recipient of the leg has neither a final outcome nor remains, or would never be due."""
    remaining = len(record.remaining)
    final = sum(1 for outcome in record.outcomes if outcome.kind is not OutcomeKind.DELAYED)
    if final + remaining < len(record.claim.leg.recipients):
        raise ValueError(
            f"{len(record.claim.leg.recipients)} recipients, {final} final outcomes, {remaining} remaining: "
            "one would vanish"
        )
    if remaining and record.next_attempt is None:
        raise ValueError("recipients remain, but no next attempt is planned")
    for report in record.reports:
        check_legs(report.legs)
    for leg in record.expanded:
        check_legs((leg,))


def check_rekeyed(leg: Leg, new: Sequence[NewLeg]) -> None:
    """Raises ValueError unless each recipient of the leg goes on, once."""
    check_legs(new)
    before = sorted(recipient.forward_path for recipient in leg.recipients)
    if before != sorted(recipient.forward_path for one in new for recipient in one.recipients):
        raise ValueError(f"the recipients of a leg to {leg.next_hop} would not all be sent on, or twice")


def trail_entry(record: Record, now: float, reports: list[int]) -> TrailEntry:
    """What history keeps of `record`. `reports`: the ids of the reports it made."""
    claim = record.claim
    leg = claim.leg
    return TrailEntry(
        letter=claim.letter,
        time=now,
        envelope=claim.envelope,
        leg=leg.number,
        next_hop=leg.next_hop,
        attempt=leg.attempts + 1 if record.counts else leg.attempts,
        outcomes=record.outcomes,
        next_attempt=record.next_attempt if record.remaining and not record.hold_reason else None,
        reports=reports,
        rules=_rules(leg.recipients),
    )


def _rules(recipients: Sequence[Recipient]) -> list[str]:
    """One for all of them where that is so."""
    first = recipients[0].rule if recipients else ""
    if len(recipients) < 2 or all(recipient.rule == first for recipient in recipients):
        return [first] if first else []
    return [recipient.rule for recipient in recipients]


def message_id_key(message_id: str) -> str:
    """The form under which two spellings of a Message-ID meet: without angle brackets and blanks around it."""
    return message_id.strip().removeprefix("<").removesuffix(">").strip()
