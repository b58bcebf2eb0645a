"""The part of a report for people: what happened, what the other server said, what to do. Grade A. Called by dsn alone.

Plain words in the sender's language (`language`), lines of 76 columns, addresses and replies on lines of their own so
that they can be copied.
"""

from __future__ import annotations

from email.errors import MessageError
from email.header import decode_header, make_header
from textwrap import wrap
from typing import Final

from ekiden.message.date import render_date
from ekiden.message.dsn_status import action_of, status_of
from ekiden.message.header import HeaderSection
from ekiden.message.quoting import one_line, printable
from ekiden.message.report import ReportRequest
from ekiden.message.wording import Wording
from ekiden.model.envelope import Recipient
from ekiden.model.outcome import Outcome

_WIDTH: Final = 76
_REPLY_LIMIT: Final = 900
_PATH_LIMIT: Final = 900
_SUBJECT_LIMIT: Final = 200


def render_text(request: ReportRequest, section: HeaderSection, words: Wording, *, whole: bool) -> str:
    """The text with CRLFs. `whole`: the letter itself is attached, not only its header section."""
    say = words.phrases
    count = len(request.recipients)
    whom = say["one"] if count == 1 else say["several"].format(count=count)
    lines = [*_wrapped(words, say["greeting"].format(hostname=request.hostname)), ""]
    lines += _wrapped(words, words.openings[kind_of(request)].format(whom=whom))
    if request.kind == "delayed" and request.expires_at:
        lines += _wrapped(words, say["until"].format(date=render_date(request.expires_at)))
    lines.append("")
    for recipient, outcome in request.recipients:
        lines += _about_recipient(request, recipient, outcome, words)
        lines.append("")
    lines += _about_letter(request, section, words)
    lines += _wrapped(words, say["attached-whole" if whole else "attached-header"])
    return "\r\n".join(lines) + "\r\n"


def kind_of(request: ReportRequest) -> str:
    """Whose subject and opening it has."""
    return "relayed" if request.kind == "expanded" else request.kind.value


def _about_recipient(request: ReportRequest, recipient: Recipient, outcome: Outcome, words: Wording) -> list[str]:
    say = words.phrases
    action = action_of(request, outcome)
    lines = [f"  {printable(recipient.forward_path, _PATH_LIMIT)}"]
    if action in ("failed", "delayed"):
        lines += _reason(recipient, outcome, words)
        told = words.advise(status_of(action, outcome))
        lines += _wrapped(words, say["means"].format(text=told.meaning), "    ")
        if action == "failed":
            lines += _wrapped(words, say["cure"].format(text=told.cure), "    ")
    elif action == "delivered":
        lines.append("    " + say["in-mailbox"])
    elif action == "expanded":
        lines += _wrapped(words, say["expanded"], "    ")
    else:
        remote = one_line(outcome.remote, 255) or say["next-system"]
        lines += _wrapped(words, say["taken"].format(remote=remote), "    ")
    return lines


def _reason(recipient: Recipient, outcome: Outcome, words: Wording) -> list[str]:
    """The other server's words if it spoke, else ours; and what an expired letter's last attempt met."""
    say = words.phrases
    lines = []
    if outcome.remote:
        lines += _wrapped(words, say["answered"].format(remote=one_line(outcome.remote, 255)), "    ")
        lines += _wrapped(words, one_line(outcome.summary, _REPLY_LIMIT), "        ", width=_WIDTH)
    elif outcome.text:
        lines += _wrapped(words, say["reason"].format(text=one_line(outcome.text, _REPLY_LIMIT)), "    ", width=_WIDTH)
    if recipient.last_error and recipient.last_error not in (outcome.text, outcome.summary):
        before = say["before"].format(text=one_line(recipient.last_error, _REPLY_LIMIT))
        lines += _wrapped(words, before, "    ", width=_WIDTH)
    return lines


def _about_letter(request: ReportRequest, section: HeaderSection, words: Wording) -> list[str]:
    say = words.phrases
    lines = [say["arrived"].format(date=render_date(request.envelope.arrived))]
    if subject := subject_of(section):
        lines += _wrapped(words, say["subject"].format(subject=subject))
    if request.letter_id:
        lines.append(say["number"].format(letter=request.letter_id))
    return [*lines, ""]


def subject_of(section: HeaderSection) -> str:
    """Decoded (RFC 2047) for reading; what cannot be decoded is left as it is."""
    raw = (section.first(b"subject") or b"").decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(raw)))
    except (MessageError, LookupError, ValueError):  # ValueError: UnicodeError and malformed base64 too
        text = raw
    return one_line(text, _SUBJECT_LIMIT)


def _wrapped(words: Wording, text: str, indent: str = "", *, width: int = 0) -> list[str]:
    """`width`: of replies and other foreign words; else the language's own. Japanese has no blanks to break at."""
    return wrap(
        text,
        (width or words.width) + (len(indent) if words.width < _WIDTH else 0),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=words.width < _WIDTH and not width,
        break_on_hyphens=False,
    )
