"""Notices: letters of our own to people here (the postmaster, the owner of an account). Grade A: a pure builder.

Rules
1. Plain text for people, lines of 76 columns at most where the text allows it; nothing from outside can add a header
   field or break a line of ours.
2. `Auto-Submitted: auto-generated` (RFC 3834 §5.1): no robot answers it. It travels from the null reverse-path, so that
   nobody ever gets a report about it.
3. Never a secret: who has stolen a password reads the mailbox, too.

Called by `spool.notices` alone, which is what others use.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Final, NamedTuple

from ekiden.message.date import render_date
from ekiden.message.quoting import fold, header_mailbox, one_line, quoted_printable

_WIDTH: Final = 76
_SUBJECT_LIMIT: Final = 200


class Notice(NamedTuple):
    """`kind`: a stable name (`brake`). `to`: a mailbox of ours, '' is the postmaster. `about`: what it is about
    (an account, a rule), so that one about another is not kept back. `text`: paragraphs, parted by empty lines; a line
    that begins with a blank stays as it is."""

    kind: str
    subject: str
    text: str
    to: str = ""
    about: str = ""


def build_notice(notice: Notice, *, hostname: str, to: str, message_id: str, now: float) -> bytes:
    """Header section and body with CRLFs, 7-bit. `to`: the mailbox to be shown; `message_id`: with angle brackets."""
    text = "\r\n".join(_lines(notice.text)).encode("utf-8", "replace") + b"\r\n"
    encoding = b"7bit"
    if not text.isascii():
        encoding, text = b"quoted-printable", quoted_printable(text)
    head = (
        f"From: Mail system <MAILER-DAEMON@{hostname}>\r\n"
        f"To: <{_ascii(header_mailbox(to))}>\r\n"
        f"{fold('Subject', _ascii(one_line(notice.subject, _SUBJECT_LIMIT)))}"
        f"Date: {render_date(now)}\r\n"
        f"Message-ID: {message_id}\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
    )
    return head.encode("ascii") + b"Content-Transfer-Encoding: %b\r\n\r\n" % encoding + text


def _ascii(text: str) -> str:
    """A header of ours is ASCII: what it names besides stands in the text."""
    return text.encode("ascii", "replace").decode("ascii")


def _lines(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        clean = "".join(c if c.isprintable() else " " for c in line).rstrip()
        if clean.startswith(" ") or len(clean) <= _WIDTH:
            lines.append(clean[:_LONGEST])
        else:
            lines += wrap(clean, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line[:_LONGEST] for line in lines]


#: Characters of a line, four octets each at most (RFC 5322 §2.1.1: 998 octets).
_LONGEST: Final = 240
