"""App passwords at the door: which one was shown, and whether it may be used here and now.

All of an account's are compared, each in constant time, whichever fits. Called by `accounts.login`.
"""

from __future__ import annotations

import hmac

from ekiden.accounts.app_passwords import secret_digest
from ekiden.accounts.result import LoginReason, Scope
from ekiden.model.account import Account, AppPassword
from ekiden.policy.networks import NetworkSet


def shown(account: Account, prepared: str) -> AppPassword | None:
    """The app password of which `prepared` is the secret."""
    digest = secret_digest(prepared)
    if digest is None:
        return None
    found: AppPassword | None = None
    for app_password in account.app_passwords:
        if hmac.compare_digest(app_password.digest, digest):
            found = app_password
    return found


def refusal(app_password: AppPassword, *, client: str, scope: Scope, now: float) -> LoginReason | None:
    """Why it may not be used. `now`: wall clock, seconds since 1970."""
    if app_password.expires and now >= app_password.expires:
        return LoginReason.EXPIRED
    if scope not in app_password.scopes:
        return LoginReason.OUT_OF_SCOPE
    if app_password.networks and client not in NetworkSet(app_password.networks):
        return LoginReason.OUT_OF_NETWORK
    return None
