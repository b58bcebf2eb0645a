"""The part of a report for people: what happened, what the other server said, what to do. Grade A. Called by dsn alone.

Plain words, lines of 76 columns, addresses and replies on lines of their own so that they can be copied.
"""

from __future__ import annotations

from email.errors import MessageError
from email.header import decode_header, make_header
from textwrap import wrap
from typing import Final

from ekiden.message.advice import advice
from ekiden.message.date import render_date
from ekiden.message.dsn_status import action_of, status_of
from ekiden.message.header import HeaderSection
from ekiden.message.quoting import one_line, printable
from ekiden.message.report import ReportRequest
from ekiden.model.envelope import Recipient
from ekiden.model.outcome import Outcome

_WIDTH: Final = 76
_REPLY_LIMIT: Final = 900
_PATH_LIMIT: Final = 900
_SUBJECT_LIMIT: Final = 200

_OPENING: Final = {
    "failed": (
        "Your letter could not be delivered to {whom}, and will not be tried again. What the reason is, and what you "
        "can do, stands below each address."
    ),
    "delayed": (
        "Your letter has not been delivered yet to {whom}. This is only to let you know: you need not do anything, and "
        "need not send it again."
    ),
    "delivered": "As you asked, we confirm: your letter was delivered to {whom}.",
    "relayed": (
        "Your letter was passed on to {whom}. The next mail system took it, but sends no confirmations: you will hear "
        "no more of it, unless it fails there."
    ),
}


def render_text(request: ReportRequest, section: HeaderSection, *, whole: bool) -> str:
    """The text with CRLFs. `whole`: the letter itself is attached, not only its header section."""
    whom = "this address" if len(request.recipients) == 1 else f"these {len(request.recipients)} addresses"
    kind = "relayed" if request.kind == "expanded" else request.kind.value
    lines = [f"This is the mail system at {request.hostname}.", ""]
    lines += _wrapped(_OPENING[kind].format(whom=whom))
    if request.kind == "delayed" and request.expires_at:
        lines += _wrapped(f"We go on trying until {render_date(request.expires_at)}. If it fails, you will be told.")
    lines.append("")
    for recipient, outcome in request.recipients:
        lines += _about_recipient(request, recipient, outcome)
        lines.append("")
    lines += _about_letter(request, section)
    lines += _wrapped(
        "Attached: details for mail programs, and " + ("your letter." if whole else "the header of your letter.")
    )
    return "\r\n".join(lines) + "\r\n"


def _about_recipient(request: ReportRequest, recipient: Recipient, outcome: Outcome) -> list[str]:
    action = action_of(request, outcome)
    lines = [f"  {printable(recipient.forward_path, _PATH_LIMIT)}"]
    if action in ("failed", "delayed"):
        lines += _reason(recipient, outcome)
        told = advice(status_of(action, outcome))
        lines += _wrapped(f"That means: {told.meaning}", "    ")
        if action == "failed":
            lines += _wrapped(f"What you can do: {told.cure}", "    ")
    elif action == "delivered":
        lines.append("    It is in the mailbox.")
    elif action == "expanded":
        lines += _wrapped("This address stands for others; the letter goes on to them.", "    ")
    else:
        lines += _wrapped(f"Taken over by {one_line(outcome.remote, 255) or 'the next mail system'}.", "    ")
    return lines


def _reason(recipient: Recipient, outcome: Outcome) -> list[str]:
    """The other server's words if it spoke, else ours; and what an expired letter's last attempt met."""
    lines = []
    if outcome.remote:
        lines += _wrapped(f"The mail server {one_line(outcome.remote, 255)} answered:", "    ")
        lines += _wrapped(one_line(outcome.summary, _REPLY_LIMIT), "        ")
    elif outcome.text:
        lines += _wrapped(f"Reason: {one_line(outcome.text, _REPLY_LIMIT)}", "    ")
    if recipient.last_error and recipient.last_error not in (outcome.text, outcome.summary):
        lines += _wrapped(f"The attempt before ended with: {one_line(recipient.last_error, _REPLY_LIMIT)}", "    ")
    return lines


def _about_letter(request: ReportRequest, section: HeaderSection) -> list[str]:
    lines = [f"The letter arrived here on {render_date(request.envelope.arrived)}."]
    if subject := _subject(section):
        lines += _wrapped(f"Its subject: {subject}")
    if request.letter_id:
        lines.append(f"Its number, for a postmaster who is asked for help: {request.letter_id}")
    return [*lines, ""]


def _subject(section: HeaderSection) -> str:
    """Decoded (RFC 2047) for reading; what cannot be decoded is left as it is."""
    raw = (section.first(b"subject") or b"").decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(raw)))
    except (MessageError, LookupError, ValueError):  # ValueError: UnicodeError and malformed base64 too
        text = raw
    return one_line(text, _SUBJECT_LIMIT)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
