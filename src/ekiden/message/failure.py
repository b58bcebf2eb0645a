"""What kind of failure a reply stands for, in ten words that people and programs can count by. Grade A.

The enhanced status code says it where it is honest (RFC 3463 §3); servers that answer 5.7.1 or 5.0.0 to everything are
understood by their words, which are looked for in the usual turns of the big providers. Called by `dsn_status`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Failure(StrEnum):
    ADDRESS = "bad-address"
    FULL = "full-mailbox"
    SIZE = "size"
    CONTENT = "content"
    POLICY = "policy"
    TLS = "tls"
    DNS = "dns"
    ROAD = "road"
    THEIRS = "their-system"
    OURS = "ours"
    OTHER = "other"


#: By `subject.detail`, then by subject (RFC 3463 §3, and its registry).
_BY_STATUS: Final = {
    "1": Failure.ADDRESS,
    "1.7": Failure.POLICY,
    "1.8": Failure.POLICY,
    "1.10": Failure.ADDRESS,
    "2": Failure.ADDRESS,
    "2.2": Failure.FULL,
    "2.3": Failure.SIZE,
    "3": Failure.THEIRS,
    "3.4": Failure.SIZE,
    "3.5": Failure.OURS,
    "4": Failure.ROAD,
    "4.3": Failure.DNS,
    "4.4": Failure.DNS,
    "5": Failure.THEIRS,
    "6": Failure.CONTENT,
    "7": Failure.POLICY,
    "7.4": Failure.TLS,
    "7.5": Failure.TLS,
    "7.10": Failure.TLS,
    "7.30": Failure.TLS,
}
#: Asked only of codes that say little: 5.0.0, 5.7.1 and the like.
_VAGUE: Final = frozenset(("", "0.0", "7.0", "7.1", "1.0", "2.0", "5.0"))
_BY_WORDS: Final = (
    (
        Failure.ADDRESS,
        re.compile(
            r"(?i)user (is )?(unknown|not found)|unknown (user|recipient|mailbox)"
            r"|no such (user|mailbox|recipient|account)"
            r"|(mailbox|recipient|account|address) (is )?(unknown|unavailable|disabled|not found)|does ?n[o']t exist"
            r"|invalid (recipient|mailbox|address)|no mailbox"
        ),
    ),
    (
        Failure.FULL,
        re.compile(r"(?i)(mailbox|quota|storage)[^.]{0,20}(full|exceeded)|over ?quota|insufficient storage"),
    ),
    (Failure.SIZE, re.compile(r"(?i)(message|mail|size)[^.]{0,30}(too (large|big)|exceed)")),
    (Failure.CONTENT, re.compile(r"(?i)\b(virus|malware|attachment)\b")),
    (Failure.TLS, re.compile(r"(?i)\b(starttls|tls) (is )?required|must issue a starttls")),
)
#: Octets of a reply that are looked at.
_LOOKED_AT: Final = 600


def failure_of(status: str, text: str, *, ours: bool = False) -> Failure:
    """`status`: such as `5.1.1`; `text`: the reply. `ours`: nobody else spoke."""
    _, _, rest = status.partition(".")
    if rest in _VAGUE and not ours:
        for failure, words in _BY_WORDS:
            if words.search(text[:_LOOKED_AT]):
                return failure
    subject = rest.partition(".")[0]
    found = _BY_STATUS.get(rest) or _BY_STATUS.get(subject)
    if found is None:
        return Failure.OTHER
    return Failure.OURS if ours and found is Failure.THEIRS else found
