"""The letter that a report is: built by `message.dsn`, with an envelope and a leg of its own. Grade B.

Called by `settle` for what an attempt came to, and by `admin` for what a person sends back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.config.model import Config
from ekiden.message.dsn import ReportKind, ReportRequest, build_report
from ekiden.model.envelope import Envelope, Origin, Recipient
from ekiden.model.ids import LetterId, render_id
from ekiden.model.outcome import Outcome
from ekiden.policy.next_hop import NextHops
from ekiden.ports.spool import Report

#: The flow of reports, so that a flood of them delays no letter of a person (fairness within a site).
REPORT_FLOW: Final = "reports"


class Stamp(NamedTuple):
    """What makes a report this one. `number`: of an IdSequence; `boundary`: an unpredictable token."""

    number: int
    now: float
    boundary: str


def report_letter(
    subject: tuple[LetterId, Envelope],
    kind: str,
    about: Sequence[tuple[Recipient, Outcome]],
    original: bytes,
    stamp: Stamp,
    config: Config,
    next_hops: NextHops,
) -> Report:
    """`subject`: the letter it is about, `original`: its first octets, header section at least. It is as urgent as that
    letter (RFC 6710 §4). Raises ValueError for a null reverse-path: who is told is decided before
    (`delivery.report`)."""
    letter, envelope = subject
    built = build_report(
        ReportRequest(
            kind=ReportKind(kind),
            hostname=config.hostname,
            report_id=render_id(stamp.number),
            letter_id=render_id(letter),
            now=stamp.now,
            boundary=stamp.boundary,
            envelope=envelope,
            recipients=list(about),
            original=original,
            original_is_complete=len(original) >= envelope.size_octets,
            expires_at=envelope.arrived + config.delivery.expire_after,
        )
    )
    own = Envelope(
        "",
        stamp.now,
        Origin(door="report", protocol=""),
        size_octets=len(built.content),
        header_octets=built.header_octets,
        body="8BITMIME" if built.is_8bit else "7BIT",
        smtputf8=built.needs_smtputf8,
        message_id=built.message_id,
        is_report=True,
        priority=envelope.priority,
    )
    legs = next_hops.legs(own, [Recipient(envelope.reverse_path)], flow=REPORT_FLOW, priority=own.priority)
    return Report(own, built.content, legs)
