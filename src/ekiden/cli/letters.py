"""How letters, legs and trails are shown: for people as text, for programs as JSON values. Pure but for the zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ekiden.admin.causes import LIMITS, RESTING, SUSPENDED, cause_of, error_of, state_of
from ekiden.admin.hindrances import Hindrances
from ekiden.admin.queue import Shape, Story
from ekiden.cli.output import count, local_time, safe, size, span, utc_time
from ekiden.cli.reasons import due_text, hindered_text, hop_text, why_text
from ekiden.model.envelope import Envelope, Leg
from ekiden.model.ids import render_id
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import BY_HAND, QueuedLetter, SiteStatus, TrailEntry

_OURS = {OutcomeKind.REMOVED, OutcomeKind.EXPANDED}


def path_text(path: str) -> str:
    """`<>` for the null reverse-path."""
    return path or "<>"


def list_row(letter: QueuedLetter, known: Hindrances, now: float) -> tuple[str, ...]:
    """ID, AGE, SIZE, NEXT TRY, FROM, TO."""
    recipients = [r.forward_path for leg in letter.legs for r in leg.recipients]
    shown = ", ".join(recipients[:2]) + (f" and {len(recipients) - 2} more" if len(recipients) > 2 else "")
    waiting = [leg for leg in letter.legs if leg.next_attempt is not None]
    first = min(waiting, key=lambda leg: leg.next_attempt or 0.0, default=letter.legs[0] if letter.legs else None)
    envelope = letter.envelope
    return (
        render_id(letter.letter),
        span(now - envelope.arrived),
        size(envelope.size_octets),
        due_text(first, known, now) if first else "",
        path_text(envelope.reverse_path),
        shown,
    )


def shape_rows(shape: Shape, known: Hindrances, now: float, limit: int) -> list[list[str]]:
    """The head, the `limit` largest next hops, what the others come to, and the total."""
    bounds = [span(age) for age in shape.ages]
    rows = [["NEXT HOP", *(f"<{bound}" for bound in bounds), f">{bounds[-1]}", "TOTAL", "STATE"]]
    others = shape.rows[limit:]
    for hop, counts in shape.rows[:limit]:
        rows.append(_shape_row(hop_text(hop), counts, hindered_text(_status(hop, known, now), now)))
    if others:
        rows.append(_shape_row(f"{len(others)} more", _sums(others)))
    rows.append(_shape_row("all", _sums(shape.rows)))
    return rows


def shape_json(shape: Shape, known: Hindrances, now: float) -> dict[str, Any]:
    """`ages`: the columns' upper bounds in seconds; the last count of a row is of what is older. `state`: of its site,
    as in `reasons.site_json`, or null."""
    rows = [
        {"next_hop": hop, "legs": sum(counts), "by_age": counts, "state": status.state if status else None}
        for hop, counts in shape.rows
        for status in [_status(hop, known, now)]
    ]
    return {"ages": list(shape.ages), "next_hops": rows}


def _sums(rows: Sequence[tuple[str, list[int]]]) -> list[int]:
    return [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]


def _shape_row(name: str, counts: Sequence[int], state: str = "") -> list[str]:
    return [name, *(str(number) if number else "." for number in counts), str(sum(counts)), state]


def _status(next_hop: str, known: Hindrances, now: float) -> SiteStatus | None:
    if suspension := known.suspension_of(next_hop, now):
        return SiteStatus(suspension.site, "suspended", suspension.reason, suspension.since)
    return known.site_of(next_hop)


def reason_line(letter: QueuedLetter, known: Hindrances, now: float) -> str:
    """Why it still waits: the last error of its first recipient that has one, else what keeps its site."""
    error = next(filter(None, map(error_of, letter.legs)), "")
    hindered = (leg for leg in letter.legs if cause_of(leg, known, now) in (SUSPENDED, RESTING, LIMITS))
    leg = next(hindered, None)
    return error or (why_text(leg, known, now) if leg is not None else "")


def story_lines(story: Story, now: float) -> list[str]:
    """The whole story, for people."""
    envelope = story.queued.envelope if story.queued else story.trail[0].envelope
    lines = [f"Letter {render_id(story.letter)}", *_envelope_lines(envelope, now)]
    if story.queued:
        for leg in story.queued.legs:
            lines += ["", *_leg_lines(leg, story.hindrances, now)]
    else:
        lines.append("  now         no longer queued")
    if story.trail:
        lines += ["", "Trail"]
        for entry in story.trail:
            lines += _entry_lines(entry)
    return [safe(line) for line in lines]


def letter_json(letter: QueuedLetter, known: Hindrances, now: float) -> dict[str, Any]:
    """A queued letter for programs."""
    legs = [_leg_json(leg, known, now) for leg in letter.legs]
    return {**_envelope_json(letter.letter, letter.envelope), "legs": legs}


def story_json(story: Story, now: float) -> dict[str, Any]:
    """`queued` false: the letter has left the queue; its legs are empty."""
    envelope = story.queued.envelope if story.queued else story.trail[0].envelope
    return {
        **_envelope_json(story.letter, envelope),
        "queued": story.queued is not None,
        "legs": [_leg_json(leg, story.hindrances, now) for leg in story.queued.legs] if story.queued else [],
        "trail": [_entry_json(entry) for entry in story.trail],
    }


def _envelope_lines(envelope: Envelope, now: float) -> list[str]:
    origin = envelope.origin
    came = f"{local_time(envelope.arrived)}, {span(now - envelope.arrived)} ago"
    if envelope.is_report:
        came += ", made here as a report"
    if origin.door:
        came += f", by {origin.door}"
    if origin.client:
        came += f" from {origin.client}" + (f" ({origin.helo})" if origin.helo else "")
    lines = [f"  from        {path_text(envelope.reverse_path)}", f"  arrived     {came}"]
    if origin.account:
        lines.append(f"  login       {origin.account}")
    if origin.tls:
        lines.append(f"  TLS         {origin.tls}")
    lines.append(f"  size        {size(envelope.size_octets)}")
    if envelope.priority:
        lines.append(f"  priority    {envelope.priority}")
    if envelope.message_id:
        lines.append(f"  Message-ID  {envelope.message_id}")
    if envelope.content_rules:
        lines.append(f"  rules       {', '.join(envelope.content_rules)}")
    return lines


def _leg_lines(leg: Leg, known: Hindrances, now: float) -> list[str]:
    tried = f"{count(leg.attempts, 'attempt')} so far"
    due = due_text(leg, known, now)
    if state_of(leg, known, now) in ("due", "waiting"):
        due = f"next {due}"
    if leg.hold_reason:
        due += f" ({leg.hold_reason})"
    lines = [f"Leg {leg.number} to {hop_text(leg.next_hop)}: {due}, {tried}"]
    lines.append(f"  why: {why_text(leg, known, now)}")
    if cause := cause_of(leg, known, now):
        lines.append(f"  do:  {cause.step}")
    for recipient in leg.recipients:
        lines.append(f"  {recipient.forward_path}{_rule_text(recipient.rule)}")
        if recipient.last_error:
            lines.append(f"    {recipient.last_error}")
        if recipient.possible_duplicates:
            times = count(recipient.possible_duplicates, "attempt")
            lines.append(f"    may arrive more than once: {times} ended without an answer to the content")
    return lines


def _entry_lines(entry: TrailEntry) -> list[str]:
    head = f"  {local_time(entry.time)}  leg {entry.leg}, attempt {entry.attempt}, {hop_text(entry.next_hop)}"
    lines = [head]
    for index, outcome in enumerate(entry.outcomes):
        taken = _rule_text(entry.rule(index))
        lines.append(f"    {outcome.kind.value} {outcome.forward_path}{taken}: {_outcome_text(outcome)}")
    if entry.next_attempt is not None:
        lines.append(f"    next attempt {local_time(entry.next_attempt)}")
    if entry.reports:
        lines.append(f"    reported to the sender: {', '.join(render_id(report) for report in entry.reports)}")
    return lines


def _rule_text(rule: str) -> str:
    return f" (rule {rule})" if rule else ""


def _outcome_text(outcome: Outcome) -> str:
    text = outcome.text if outcome.kind in _OURS else outcome.summary
    if outcome.remote:
        text += f" (said {outcome.remote}{', ' + outcome.tls if outcome.tls else ''})"
    if outcome.possible_duplicate:
        text += " (possible duplicate: it may have been taken)"
    return text


def _envelope_json(letter: int, envelope: Envelope) -> dict[str, Any]:
    origin = envelope.origin
    return {
        "letter": render_id(letter),
        "reverse_path": envelope.reverse_path,
        "arrived": utc_time(envelope.arrived),
        "size": envelope.size_octets,
        "message_id": envelope.message_id,
        "is_report": envelope.is_report,
        "priority": envelope.priority,
        "content_rules": list(envelope.content_rules),
        "door": origin.door,
        "client": origin.client,
        "helo": origin.helo,
        "account": origin.account,
        "tls": origin.tls,
        "session": render_id(origin.session) if origin.session else "",
    }


def _leg_json(leg: Leg, known: Hindrances, now: float) -> dict[str, Any]:
    """`why`: one word, see `causes.state_of`. `cause`: a name of `admin.causes`, or null. What a person wants to be
    tried is due now: BY_HAND is nothing that others should know."""
    cause = cause_of(leg, known, now)
    by_hand = leg.next_attempt is not None and leg.next_attempt <= BY_HAND
    return {
        "leg": leg.number,
        "next_hop": leg.next_hop,
        "state": leg.state.value,
        "why": state_of(leg, known, now),
        "cause": cause.name if cause else None,
        "next_step": cause.step if cause else None,
        "attempts": leg.attempts,
        "next_attempt": utc_time(now if by_hand else leg.next_attempt),
        "hold_reason": leg.hold_reason,
        "recipients": [
            {
                "forward_path": r.forward_path,
                "rule": r.rule,
                "last_error": r.last_error,
                "possible_duplicates": r.possible_duplicates,
            }
            for r in leg.recipients
        ],
    }


def _entry_json(entry: TrailEntry) -> dict[str, Any]:
    return {
        "time": utc_time(entry.time),
        "leg": entry.leg,
        "attempt": entry.attempt,
        "next_hop": entry.next_hop,
        "outcomes": [
            {
                "forward_path": o.forward_path,
                "rule": entry.rule(index),
                "outcome": o.kind.value,
                "code": o.code,
                "status": o.status,
                "text": o.text,
                "remote": o.remote,
                "tls": o.tls,
                "possible_duplicate": o.possible_duplicate,
            }
            for index, o in enumerate(entry.outcomes)
        ],
        "next_attempt": utc_time(entry.next_attempt),
        "reports": [render_id(report) for report in entry.reports],
    }
