"""MTA-STS: what a domain promises about its mail hosts, in a TXT record and a file on its web server (RFC 8461). Pure.

    _mta-sts.example.org TXT "v=STSv1; id=20261122"     there is a policy, and it changed when the id did
    https://mta-sts.example.org/.well-known/mta-sts.txt the policy

Rules
1. A record or policy that is not exactly what RFC 8461 §3 asks for is none: a forger gains nothing by confusing us.
2. A pattern is a name, or `*.` and a name for one label (§4.1).

Called by `delivery.sts`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.model.mailbox import domain_key
from ekiden.ports.sts import MOST_OCTETS

VERSION: Final = "STSv1"
#: RFC 8461 §3.2: a year or so, in seconds.
LONGEST_AGE: Final = 31_557_600
MOST_PATTERNS: Final = 1000
MODES: Final = ("enforce", "testing", "none")

_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")


class StsPolicy(NamedTuple):
    """`mode`: enforce, testing or none. `max_age`: seconds. `mx`: patterns of host names, in key form."""

    mode: str
    max_age: int
    mx: tuple[str, ...] = ()

    def covers(self, host: str) -> bool:
        """Whether an MX host of that name is one of the domain's (RFC 8461 §4.1)."""
        name = domain_key(host)
        parent = name.partition(".")[2]
        return name in self.mx or (bool(parent) and f"*.{parent}" in self.mx)


def parse_record(texts: Sequence[bytes]) -> str:
    """The id of the policy, or '' if there is none (RFC 8461 §3.1: also when there are two)."""
    records = [text for text in texts if re.match(rb"v=STSv1[ \t]*(;|$)", text)]
    if len(records) != 1:
        return ""
    fields = _fields(records[0].decode("latin-1").split(";"), "=")
    found = fields.get("id", [""])[0]
    return found if _ID.fullmatch(found) else ""


def parse_policy(octets: bytes) -> StsPolicy:
    """Raises ValueError with what is wrong."""
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"the policy has more than {MOST_OCTETS} octets")
    try:
        fields = _fields(octets.decode("utf-8").replace("\r\n", "\n").split("\n"), ":")
    except UnicodeDecodeError:
        raise ValueError("the policy is not UTF-8") from None
    if fields.get("version", [""])[0] != VERSION:
        raise ValueError(f"the policy does not say version: {VERSION}")
    mode, age = fields.get("mode", [""])[0], fields.get("max_age", [""])[0]
    if mode not in MODES:
        raise ValueError(f"the policy's mode is none of {', '.join(MODES)}")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise ValueError("the policy's max_age is no number of seconds")
    patterns = tuple(domain_key(text) for text in fields.get("mx", ())[:MOST_PATTERNS])
    if mode != "none" and not patterns:
        raise ValueError("the policy names no mx")
    return StsPolicy(mode, min(int(age), LONGEST_AGE), patterns)


def _fields(parts: Sequence[str], sign: str) -> dict[str, list[str]]:
    """Every value of a key, in order; RFC 8461 §3.2: of a key that may stand once the first counts."""
    fields: dict[str, list[str]] = {}
    for part in parts:
        key, found, value = part.partition(sign)
        if found:
            fields.setdefault(key.strip(), []).append(value.strip())
    return fields
