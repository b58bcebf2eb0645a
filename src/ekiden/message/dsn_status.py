"""The part of a report for programs: message/delivery-status fields (RFC 3464 §2). Grade A. Called by dsn alone."""

from __future__ import annotations

from typing import Final

from ekiden.message.date import render_date
from ekiden.message.failure import failure_of
from ekiden.message.quoting import ascii_line, fold, printable
from ekiden.message.report import ReportRequest
from ekiden.model.envelope import Recipient
from ekiden.model.outcome import Outcome

#: A reply line has 512 octets (RFC 5321 §4.5.3.1.5); of replies of many lines this much is enough to understand.
DIAGNOSTIC_LIMIT: Final = 800
_PATH_LIMIT: Final = 900
_ENVID_LIMIT: Final = 100  # RFC 3461 §4.4
_DEFAULT_STATUS: Final = {"failed": "5.0.0", "delayed": "4.0.0"}


def render_status(request: ReportRequest) -> str:
    """The per-message fields, then each recipient's, in groups parted by empty lines; with CRLFs."""
    groups = [_message_fields(request)]
    groups += [_recipient_fields(request, recipient, outcome) for recipient, outcome in request.recipients]
    return "\r\n".join(groups)


def action_of(request: ReportRequest, outcome: Outcome) -> str:
    """RFC 3464 §2.3.3: the report's kind, but each recipient's own when it tells of success."""
    kind = request.kind.value
    return kind if kind in _DEFAULT_STATUS or outcome.kind.value not in _SUCCESS else outcome.kind.value


_SUCCESS: Final = frozenset(("delivered", "relayed", "expanded"))


def status_of(action: str, outcome: Outcome) -> str:
    """A status code as RFC 3464 §2.3.4 wants it; what came without one, or with nonsense, gets the class alone."""
    digits = outcome.status.split(".")
    if len(digits) == 3 and digits[0] in ("2", "4", "5") and all(_is_number(part) for part in digits[1:]):
        return outcome.status
    return _DEFAULT_STATUS.get(action, "2.0.0")


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 3 and text.isascii() and text.isdecimal()


def _message_fields(request: ReportRequest) -> str:
    fields = ""
    if envid := ascii_line(request.envelope.envid, _ENVID_LIMIT):
        fields += f"Original-Envelope-Id: {envid}\r\n"
    fields += f"Reporting-MTA: dns; {request.hostname}\r\n"
    fields += f"Arrival-Date: {render_date(request.envelope.arrived)}\r\n"
    if request.letter_id:
        fields += f"X-Ekiden-Letter: {request.letter_id}\r\n"
    return fields


def _recipient_fields(request: ReportRequest, recipient: Recipient, outcome: Outcome) -> str:
    action = action_of(request, outcome)
    fields = ""
    if original := printable(recipient.orcpt, _PATH_LIMIT):
        kind, _, address = original.partition(";")
        fields += f"Original-Recipient: {ascii_line(kind, 40)}; {address.strip()}\r\n"
    fields += f"Final-Recipient: {_typed(recipient.forward_path)}\r\n"
    fields += f"Action: {action}\r\n"
    fields += f"Status: {status_of(action, outcome)}\r\n"
    if outcome.remote:
        fields += f"Remote-MTA: dns; {ascii_line(outcome.remote, 255)}\r\n"
    fields += _diagnostic(recipient, outcome)
    if action not in _SUCCESS:
        told = outcome.text or recipient.last_error
        failure = failure_of(status_of(action, outcome), told, ours=not outcome.remote)
        fields += f"X-Ekiden-Failure: {failure.value}\r\n"
    if action not in _SUCCESS:
        fields += f"Last-Attempt-Date: {render_date(request.now)}\r\n"
    if action == "delayed" and request.expires_at:
        fields += f"Will-Retry-Until: {render_date(request.expires_at)}\r\n"
    return fields


def _diagnostic(recipient: Recipient, outcome: Outcome) -> str:
    """`smtp` is only for what another server really answered (RFC 3464 §2.3.6); what we say ourselves is `x-ekiden`."""
    if outcome.remote:
        return fold("Diagnostic-Code", f"smtp; {ascii_line(outcome.summary, DIAGNOSTIC_LIMIT)}")
    own = outcome.text or recipient.last_error
    return fold("Diagnostic-Code", f"x-ekiden; {ascii_line(own, DIAGNOSTIC_LIMIT)}") if own else ""


def _typed(path: str) -> str:
    """`rfc822;` or, with other than ASCII in it, `utf-8;` (RFC 6533 §3)."""
    path = printable(path, _PATH_LIMIT)
    return f"rfc822; {path}" if path.isascii() else f"utf-8; {path}"
