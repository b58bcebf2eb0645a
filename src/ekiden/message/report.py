"""What a report is asked for with, and what it comes out as: the nouns of `dsn`, which offers them under its own name.

Grade A: plain data.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from ekiden.model.envelope import Envelope, Recipient
from ekiden.model.outcome import Outcome


class ReportKind(StrEnum):
    """The RFC 3464 §2.3.3 action. The three kinds of success may be mixed in one report: each recipient's outcome
    decides; FAILED and DELAYED stand for all recipients of the report, whatever the outcome's kind."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class ReportRequest(msgspec.Struct, kw_only=True):
    """Everything a report is made of.

    `hostname`: ours, ASCII. `report_id`, `letter_id`: rendered ids of the report and of the letter it is about.
    `boundary`: an unpredictable token of letters and digits (1 to 60). `now`, `expires_at`: seconds since 1970;
    `expires_at` 0: not told. `envelope`: of the letter. `recipients`: at least one. `original`: the letter's first
    octets, its header section at least; `original_is_complete`: they are all. `reporter`: the mailbox in From; '' is
    `MAILER-DAEMON@hostname`.
    """

    kind: ReportKind
    hostname: str
    report_id: str
    letter_id: str
    now: float
    boundary: str
    envelope: Envelope
    recipients: list[tuple[Recipient, Outcome]]
    original: bytes
    original_is_complete: bool
    expires_at: float = 0.0
    reporter: str = ""


class Report(NamedTuple):
    """`content`: header section and body with CRLFs. `needs_smtputf8`, `is_8bit`: what its envelope must say.
    `header_octets`: of the header section with its empty line. `message_id`: with angle brackets."""

    content: bytes
    needs_smtputf8: bool
    is_8bit: bool
    header_octets: int
    message_id: str
