"""What MTA-STS needs of the outside: a policy's octets, and a memory that outlives us (RFC 8461 §3.3, §5.1).

Contract
1. `PolicyFetcher.fetch` asks `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` with the certificate proven for that
   name, follows no redirect, reads a bounded number of octets in bounded time, and raises FetchFailed for everything
   else.
2. `StsMemory` is shared by all workers and survives restarts. It may lose its last words at a power cut; it never
   raises: what cannot be read is not there, what cannot be written is forgotten.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

#: Of a policy that is read; real ones have a few hundred octets.
MOST_OCTETS: Final = 64 * 1024


class FetchFailed(Exception):
    """`str()`: a sentence for the postmaster."""


class StsEntry(NamedTuple):
    """A policy as it was fetched. `id`: of the TXT record at that time. `fetched`: seconds since 1970."""

    id: str
    policy: bytes
    fetched: float


class PolicyFetcher(Protocol):
    async def fetch(self, domain: str) -> bytes:
        """Raises FetchFailed."""


class StsMemory(Protocol):
    async def find(self, domain: str) -> StsEntry | None: ...

    async def put(self, domain: str, entry: StsEntry) -> None: ...

    async def forget(self, domain: str) -> None: ...
