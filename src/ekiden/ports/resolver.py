"""Resolver: DNS as mail needs it. A failure is a value, not an exception.

Contract: names come in and go out without trailing dot, in lower case, as A-labels. `NOT_FOUND` covers NXDOMAIN and
NODATA (told apart by `exists`); `FAILED` is SERVFAIL, timeout, or a malformed answer: temporary for mail (RFC 5321
§5.1). Answers are cached by their TTL, negatives too (RFC 2308).

`secure`: a validating resolver on this machine proved the answer by DNSSEC (its AD bit). From any other resolver that
bit proves nothing: who can lie about the answer can set it (RFC 7672 §2.2).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

from ekiden.model.tlsa import Tlsa


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
    secure: bool = False


class AddressAnswer(NamedTuple):
    """`addresses`: IPv4 and IPv6 in text form, each family in the answer's order. CNAMEs are already followed.

    OK if either family has addresses; FAILED if none has and either lookup failed. `secure`: all that was found is."""

    status: Status
    addresses: tuple[str, ...] = ()
    detail: str = ""
    secure: bool = False


class TextAnswer(NamedTuple):
    """`texts`: each TXT record with its strings joined."""

    status: Status
    texts: tuple[bytes, ...] = ()
    detail: str = ""


class TlsaAnswer(NamedTuple):
    """`records`: all of them, usable or not."""

    status: Status
    records: tuple[Tlsa, ...] = ()
    detail: str = ""
    secure: bool = False


class NameAnswer(NamedTuple):
    status: Status
    names: tuple[str, ...] = ()
    detail: str = ""


class Resolver(Protocol):
    async def mx(self, domain: str) -> MxAnswer: ...

    async def addresses(self, host: str) -> AddressAnswer: ...

    async def ipv4(self, host: str) -> AddressAnswer:
        """As `addresses`, of IPv4 alone: one question instead of two (DNS lists answer nothing else)."""

    async def txt(self, name: str) -> TextAnswer: ...

    async def tlsa(self, name: str) -> TlsaAnswer:
        """`name`: such as `_25._tcp.mx.example.org`."""

    async def reverse(self, address: str) -> NameAnswer: ...
