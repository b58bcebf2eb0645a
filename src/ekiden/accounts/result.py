"""LoginResult: what came of a login, and why. The reason is for the postmaster; the client learns right, wrong, or try
later."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from ekiden.model.account import Account
from ekiden.ports.tokens import TokenFault

#: What a login is for: sending (587, 465) or fetching (POP3).
Scope = Literal["submit", "fetch"]


class LoginReason(StrEnum):
    """Stable words, for events."""

    OK = "ok"
    UNKNOWN_USER = "unknown-user"
    DISABLED = "disabled"
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - a word, not a secret
    TOO_OLD = "password-too-old"
    EXPIRED = "expired"
    OUT_OF_SCOPE = "out-of-scope"
    OUT_OF_NETWORK = "out-of-network"
    CHANGED = "changed-meanwhile"
    GUESSING = "too-many-guesses"
    BUSY = "busy"
    STORE_FAILED = "store-failed"
    TOKEN_MALFORMED = TokenFault.MALFORMED.value
    TOKEN_SIGNATURE = TokenFault.SIGNATURE.value
    TOKEN_EXPIRED = TokenFault.EXPIRED.value
    TOKEN_NOT_FOR_US = TokenFault.NOT_FOR_US.value
    TOKEN_SCOPE = TokenFault.SCOPE.value
    TOKEN_NOBODY = TokenFault.NOBODY.value
    TOKEN_UNVERIFIED = TokenFault.UNVERIFIED.value
    TOKEN_OTHER = "token-for-another"  # noqa: S105 - a word, not a secret
    ISSUER_SILENT = TokenFault.KEYS.value


class LoginResult(NamedTuple):
    """`account`: set if, and only if, the login is right. `name`: the account name that was meant, for events; ''
    if that could be something else, such as a password. `app_password`: the id of the one that was shown, also where
    it may not be used; '' for the account's own password. `password_until`: when that one is over (seconds since 1970),
    if it is so soon that the postmaster should hear of it; else 0."""

    account: Account | None
    reason: LoginReason
    name: str = ""
    app_password: str = ""
    password_until: float = 0

    @property
    def try_later(self) -> bool:
        """Nothing was decided: SMTP 454 4.7.0, POP3 `-ERR [SYS/TEMP]` (RFC 3206)."""
        return self.reason in {LoginReason.BUSY, LoginReason.STORE_FAILED, LoginReason.ISSUER_SILENT}
