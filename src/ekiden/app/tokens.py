"""What makes `[oauth]` a TokenVerifier. Called by `app.compose` and, for its file, by `app.config_check`."""

from __future__ import annotations

from functools import partial

from ekiden.config.model import Oauth
from ekiden.model.events import IssuerFailed
from ekiden.net.issuer_keys import IssuerKeys, KeysFailed, fetch, read_file
from ekiden.net.tokens import JoseVerifier
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink


def make_verifier(oauth: Oauth, clock: Clock, events: EventSink) -> JoseVerifier | None:
    """None if no issuer is configured."""
    if not oauth.issuer:
        return None

    def failed(reason: str) -> None:
        events.emit(IssuerFailed(issuer=oauth.issuer, reason=reason))

    read = partial(read_file, oauth.jwks_file) if oauth.jwks_file else partial(fetch, oauth.jwks_url)
    return JoseVerifier(
        IssuerKeys(read, clock, failed),
        clock,
        issuer=oauth.issuer,
        audience=oauth.audience,
        login_claim=oauth.login_claim,
        scope=oauth.scope,
    )


def keys_fault(oauth: Oauth) -> str:
    """What is wrong with the file of keys, or ''."""
    try:
        read_file(oauth.jwks_file)
    except KeysFailed as error:
        return str(error)
    return ""
