"""Reports: what a sender is told about a letter (delivery status notifications). Grade A: a pure builder.

A report is a multipart/report (RFC 6522) of three parts: a text for people; a message/delivery-status for programs
(RFC 3464); the letter itself, or its header section. With UTF-8 addresses the machine's part and the letter's become
message/global-delivery-status, message/global and message/global-headers (RFC 6533).

Rules
1. A report travels from the null reverse-path; who has a null reverse-path gets none (ValueError here: the caller has
   asked `policy` before). NOTIFY (RFC 3461 §4.1) is the caller's to heed.
2. The letter comes whole if the kind is FAILED, the sender did not ask for headers only, it has 64 KiB at most, and
   it can stand in a report as it is (lines of 998 octets at most, no lone CR or LF, no NUL). Then it is byte-identical.
   Else its header section comes: RFC 3461 §4.3 wants no more for reports about success and delay.
3. Only the reverse-path can make a report need SMTPUTF8 (`To:`): everything else is content, so that an ASCII sender
   always hears from us.
4. The text is in the sender's language, as far as the letter tells it (`language`).
5. Nothing from outside (replies, names, addresses, ENVID, ORCPT) can add a line or a part.

Called by delivery; the result is stored by `spool.record` in the same transaction as the outcomes (invariant 2).
"""

from __future__ import annotations

from typing import Final

from ekiden.message import dsn_status, dsn_text
from ekiden.message.date import render_date
from ekiden.message.header import HeaderSection
from ekiden.message.language import wording_for
from ekiden.message.quoting import encoded_words, header_mailbox, is_sendable, quoted_printable
from ekiden.message.report import Report, ReportKind, ReportRequest

__all__ = ["ORIGINAL_LIMIT", "Report", "ReportKind", "ReportRequest", "build_report"]

#: How much of a letter travels back with a report, in octets (DESIGN §5): enough to know a letter again, too little
#: to make reports a way of sending mail.
ORIGINAL_LIMIT: Final = 64 * 1024


def build_report(request: ReportRequest) -> Report:
    """Builds the report. Raises ValueError for a null reverse-path, no recipients, or a boundary that is no token."""
    if not request.envelope.reverse_path:
        raise ValueError("no report goes to the null reverse-path (RFC 5321 §6.1)")
    if not request.recipients:
        raise ValueError("a report is about one recipient at least")
    if not (request.boundary.isascii() and request.boundary.isalnum() and len(request.boundary) <= 60):
        raise ValueError(f"a boundary is 1 to 60 letters and digits, not {request.boundary!r}")
    section = HeaderSection(request.original)
    words = wording_for(section, dsn_text.subject_of(section))
    whole = _returns_whole(request)
    eight_bit = request.envelope.smtputf8 or (whole and not request.original.isascii())
    parts = [
        _text_part(dsn_text.render_text(request, section, words, whole=whole), eight_bit=eight_bit),
        _status_part(dsn_status.render_status(request), eight_bit=eight_bit),
        _original_part(request, section) if whole else _header_part(request, section),
    ]
    boundary = _free_boundary(request.boundary, parts)
    message_id = f"<{request.report_id}@{request.hostname}>"
    subject = encoded_words(words.subjects[dsn_text.kind_of(request)])
    eight_bit = not all(map(bytes.isascii, parts))
    header = _render_header(request, section, boundary, message_id, subject, eight_bit=eight_bit)
    delimiter = b"--" + boundary.encode("ascii")
    content = b"%b%b\r\n%b\r\n%b--\r\n" % (
        header,
        delimiter,
        (b"\r\n" + delimiter + b"\r\n").join(parts),
        delimiter,
    )
    return Report(content, not header.isascii(), not content.isascii(), len(header), message_id)


def _render_header(
    request: ReportRequest, section: HeaderSection, boundary: str, message_id: str, subject: str, *, eight_bit: bool
) -> bytes:
    reporter = request.reporter or f"MAILER-DAEMON@{request.hostname}"
    lines = [
        f"From: Mail Delivery System <{header_mailbox(reporter)}>",
        f"To: <{header_mailbox(request.envelope.reverse_path)}>",
        f"Subject: {subject}",
        f"Date: {render_date(request.now)}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5.2: nobody's robot answers it
    ]
    if answered := _referable(section.message_id):
        lines += [f"In-Reply-To: {answered}", f"References: {answered}"]
    lines += [
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    if eight_bit:  # RFC 2045 §6.4: a multipart says what its parts hold
        lines.append("Content-Transfer-Encoding: 8bit")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")


def _referable(message_id: str) -> str:
    """A Message-ID that can be repeated in a header field as it is; else ''."""
    shaped = message_id.startswith("<") and message_id.endswith(">") and message_id.isascii()
    return message_id if shaped and " " not in message_id and len(message_id) <= _MESSAGE_ID_LIMIT else ""


_MESSAGE_ID_LIMIT: Final = 900  # with the field's name in a line of 998 octets


def _returns_whole(request: ReportRequest) -> bool:
    """Rule 2."""
    return (
        request.kind is ReportKind.FAILED
        and request.envelope.ret != "HDRS"
        and request.original_is_complete
        and len(request.original) <= ORIGINAL_LIMIT
        and is_sendable(request.original)
    )


def _text_part(text: str, *, eight_bit: bool) -> bytes:
    octets = text.encode("utf-8", "replace")
    return _part("text/plain; charset=utf-8", octets, "Notification", eight_bit=eight_bit)


def _status_part(fields: str, *, eight_bit: bool) -> bytes:
    octets = fields.encode("utf-8", "replace")
    kind = "message/delivery-status" if octets.isascii() else "message/global-delivery-status"
    return _part(kind, octets, "Delivery report", eight_bit=eight_bit)


def _original_part(request: ReportRequest, section: HeaderSection) -> bytes:
    utf8 = request.envelope.smtputf8 and not section.raw.isascii()
    return _part("message/global" if utf8 else "message/rfc822", request.original, "Your letter", eight_bit=True)


def _header_part(request: ReportRequest, section: HeaderSection) -> bytes:
    """The header section without its empty line, cut behind the last whole field if it is larger than the limit."""
    end = section.fields_end
    if end > ORIGINAL_LIMIT:
        end = max((field.end for field in section if field.end <= ORIGINAL_LIMIT), default=0)
    octets = request.original[:end]
    utf8 = request.envelope.smtputf8 and not octets.isascii()
    kind = "message/global-headers" if utf8 else "text/rfc822-headers"
    return _part(kind, octets, "Header of your letter", eight_bit=request.envelope.smtputf8 and is_sendable(octets))


def _part(kind: str, octets: bytes, description: str, *, eight_bit: bool) -> bytes:
    """A MIME part. ASCII goes as it is, the rest as it is (`eight_bit`) or in quoted-printable, which `message/global*`
    allow too (RFC 6532 §3.5, RFC 6533 §4), unlike message/rfc822."""
    encoding = "7bit"
    if not octets.isascii() and eight_bit:
        encoding = "8bit"
    elif not octets.isascii() or not is_sendable(octets):
        encoding, octets = "quoted-printable", quoted_printable(octets)
    head = (
        f"Content-Type: {kind}\r\nContent-Description: {description}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode("ascii") + octets


def _free_boundary(token: str, parts: list[bytes]) -> str:
    """The token, lengthened until it occurs in no part (RFC 2046 §5.1.1). A random one never needs that."""
    boundary, number = token, 0
    while any(boundary.encode("ascii") in part for part in parts):
        number += 1
        boundary = f"{token}.{number}"
    return boundary
