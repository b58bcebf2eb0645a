"""Command lines: how long they may be, and what there is when no whole line is there.

Rules
1. Only CRLF ends a line. A bare CR, a bare LF or NUL is a fault as soon as it is seen (DESIGN §8, invariant 5).
2. A line that is too long is known as such by its first octet too many, and no more of it is kept.
3. What is judged depends on the octets alone, never on how they were split: of two faults the earlier one counts.

Called by the SMTP server machine.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

CRLF: Final = b"\r\n"
_CR: Final = 13
#: All octets but CR, LF and NUL: what `bytes.translate` deletes to see whether any of these is there.
ORDINARY: Final = bytes(octet for octet in range(256) if octet not in b"\r\n\0")

#: RFC 5321 §4.5.3.1.4: a command line with its CRLF.
COMMAND_LINE: Final = 512
#: RFC 1870 §3: ` SIZE=` and 20 digits.
SIZE_ADDS: Final = 26
#: RFC 6152 §2: ` BODY=8BITMIME` and what may come.
BODY_ADDS: Final = 17
#: RFC 6531 §3.1: ` SMTPUTF8`.
SMTPUTF8_ADDS: Final = 10
#: RFC 4954 §3: ` AUTH=` and an address as xtext.
AUTH_PARAMETER_ADDS: Final = 500
#: RFC 3461 §4.3, §4.4: ` RET=FULL` and ` ENVID=` with 100 characters, each of which may be three as xtext.
DSN_MAIL_ADDS: Final = 9 + 7 + 300
#: RFC 6710 §3: ` MT-PRIORITY=-9`.
PRIORITY_ADDS: Final = 15
#: RFC 3461 §4.1, §4.2: ` NOTIFY=SUCCESS,FAILURE,DELAY` and ` ORCPT=` with 500 characters.
DSN_RCPT_ADDS: Final = 29 + 7 + 500
#: RFC 4954 §4: AUTH and each line of its exchange, with CRLF.
AUTH_LINE: Final = 12_288

_LIMITS: Final = {
    b"MAIL": COMMAND_LINE + SIZE_ADDS + BODY_ADDS + SMTPUTF8_ADDS + AUTH_PARAMETER_ADDS + DSN_MAIL_ADDS + PRIORITY_ADDS,
    b"RCPT": COMMAND_LINE + DSN_RCPT_ADDS,
    b"AUTH": AUTH_LINE,
}


class LineState(Enum):
    PARTIAL = auto()
    BARE = auto()
    TOO_LONG = auto()


def line_limit(buffer: bytes, at: int) -> int:
    """Octets, with CRLF, that the line at `at` may have: by its verb."""
    return _LIMITS.get(buffer[at : at + 4].upper(), COMMAND_LINE)


def judge_line(buffer: bytes, at: int, limit: int) -> LineState:
    """What stands at `at`, where no whole line of at most `limit` octets stands."""
    window = buffer[at : at + limit - 1]
    if len(window) == limit - 1 and window[-1] == _CR:
        window = buffer[at : at + limit]
    if window.endswith(b"\r"):
        window = window[:-1]  # may become CRLF yet
    if window.translate(None, ORDINARY):
        return LineState.BARE
    return LineState.TOO_LONG if len(window) >= limit - 1 else LineState.PARTIAL
