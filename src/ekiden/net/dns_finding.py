"""Finding: what one question to the DNS came to, in plain values. What the resolver caches and joins."""

from __future__ import annotations

from typing import Any, NamedTuple

from ekiden.ports.resolver import Status


class Finding(NamedTuple):
    """`values`: by kind: MxRecord for MX, address text for A and AAAA, octets for TXT, names for PTR,
    Tlsa for TLSA. `exists`: False
    only for NXDOMAIN. `ttl` in seconds, as the DNS says (negatives by RFC 2308 §5); None if it does not say. `secure`:
    proven by DNSSEC, as a resolver on this machine says."""

    status: Status
    values: tuple[Any, ...] = ()
    exists: bool = True
    detail: str = ""
    ttl: float | None = None
    secure: bool = False

    @property
    def octets(self) -> int:
        """About what it weighs in a cache."""
        return 300 + len(self.detail) + sum(100 + len(str(value)) for value in self.values)


def failed(detail: str) -> Finding:
    return Finding(Status.FAILED, detail=detail)
