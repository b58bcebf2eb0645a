"""Resolver: DNS as mail needs it. A failure is a value, not an exception.

Contract: names come in and go out without trailing dot, in lower case, as A-labels. `NOT_FOUND` covers NXDOMAIN and
NODATA (told apart by `exists`); `FAILED` is SERVFAIL, timeout, or a malformed answer: temporary for mail (RFC 5321
§5.1). Answers are cached by their TTL, negatives too (RFC 2308).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol


class Status(Enum):
    OK = "ok"
    NOT_FOUND = "not found"
    FAILED = "failed"


class MxRecord(NamedTuple):
    preference: int
    host: str


class MxAnswer(NamedTuple):
    """`records` unsorted; a null MX (RFC 7505) is the single record (0, ''). `exists`: False only for NXDOMAIN."""

    status: Status
    records: tuple[MxRecord, ...] = ()
    exists: bool = True
    detail: str = ""


class AddressAnswer(NamedTuple):
    """`addresses`: IPv4 and IPv6 in text form, each family in the answer's order. CNAMEs are already followed.

    OK if either family has addresses; FAILED if none has and either lookup failed."""

    status: Status
    addresses: tuple[str, ...] = ()
    detail: str = ""


class TextAnswer(NamedTuple):
    """`texts`: each TXT record with its strings joined."""

    status: Status
    texts: tuple[bytes, ...] = ()
    detail: str = ""


class NameAnswer(NamedTuple):
    status: Status
    names: tuple[str, ...] = ()
    detail: str = ""


class Resolver(Protocol):
    async def mx(self, domain: str) -> MxAnswer: ...

    async def addresses(self, host: str) -> AddressAnswer: ...

    async def txt(self, name: str) -> TextAnswer: ...

    async def reverse(self, address: str) -> NameAnswer: ...
