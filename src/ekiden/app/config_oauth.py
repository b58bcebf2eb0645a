"""`[oauth]`: what belongs together. Called by `app.config_rules`."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from ekiden.app.config_reader import Report
from ekiden.config.model import Config, Oauth

_KEYS: Final = tuple(Oauth.__struct_fields__)
_EMPTY: Final = Oauth()


def check_oauth(config: Config, report: Report) -> None:
    oauth = config.oauth
    if not oauth.issuer:
        for key in _KEYS:
            if getattr(oauth, key) != getattr(_EMPTY, key):
                report.add(("oauth", "issuer"), f"is missing: {key} says nothing without the issuer of the tokens")
                return
        return
    if not oauth.audience:
        message = "is missing: without it, a token that was made for any other service would open our mailboxes"
        report.add(("oauth", "audience"), message)
    if not oauth.login_claim:
        report.add(("oauth", "login_claim"), 'must name a claim, such as "email" or "preferred_username"')
    if bool(oauth.jwks_url) == bool(oauth.jwks_file):
        report.add(("oauth", "jwks_url"), "or jwks_file must say where the issuer's public keys are: one of the two")
    elif oauth.jwks_url:
        report.accepts(("oauth", "jwks_url"), check_https, oauth.jwks_url)


def check_https(text: str) -> None:
    """An https URL with a host, without a login in it."""
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and (parts.port or 1)
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f'"{text}" must be an https URL such as "https://login.example.org/jwks"')
