"""TokenVerifier: tokens of a configured issuer, for OAUTHBEARER (RFC 7628) and XOAUTH2.

Contract
1. `verify` proves signature, issuer, audience, time and scope; whose account it is, and whether that may log in, is
   `accounts.login`'s question.
2. It may wait for the issuer's keys; it never blocks the loop, and never raises for what a client or the issuer does.
3. The reason of a fault is for the postmaster. The client learns no more than the RFC's status.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class TokenFault(StrEnum):
    """Stable words, for events."""

    MALFORMED = "token-malformed"
    SIGNATURE = "token-signature"
    EXPIRED = "token-expired"
    NOT_FOR_US = "token-not-for-us"
    SCOPE = "token-out-of-scope"
    NOBODY = "token-names-nobody"
    UNVERIFIED = "token-address-unverified"
    KEYS = "issuer-silent"  # nothing was decided


class TokenClaims(NamedTuple):
    """`login`: what the configured claim says, to be read as a login. `expires`: seconds since 1970."""

    login: str
    expires: float


class TokenVerifier(Protocol):
    @property
    def discovery(self) -> str:
        """Where a client finds the issuer's endpoints (OpenID Connect Discovery), '' if that is not known."""

    @property
    def scope(self) -> str:
        """What a token must allow; '' if nothing is asked for."""

    async def verify(self, token: str) -> TokenClaims | TokenFault: ...
