"""JoseVerifier: `ports.tokens.TokenVerifier` for JSON Web Tokens (RFC 7519), as OpenID Connect issuers give them.

Rules
1. Algorithms are those of `ALGORITHMS`: never none, never a symmetric one, whatever the token says (RFC 8725 §3.1).
2. exp must be there; iss and aud must be the configured ones; nbf counts if it is there. Clocks may differ by `LEEWAY`.
3. An address that the issuer has not verified (`email_verified` is false) is nobody's: whoever may write any address
   into a profile would be let into any mailbox.
4. It takes 0.1 to 0.2 ms of the loop; only keys are waited for.

Made by `app.compose`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

from joserfc import errors, jwt
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from ekiden.net.issuer_keys import IssuerKeys, Key, KeysFailed
from ekiden.ports.clock import Clock
from ekiden.ports.tokens import TokenClaims, TokenFault

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
LEEWAY: Final = 60
_LARGEST: Final = 8192


class _Registry(JWSRegistry):
    """Issuers put certificates and words of their own into the header."""

    max_header_length = _LARGEST
    max_payload_length = _LARGEST


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


class JoseVerifier:
    """`login_claim`: the claim that names the login."""

    def __init__(
        self, keys: IssuerKeys, clock: Clock, *, issuer: str, audience: str, login_claim: str, scope: str
    ) -> None:
        self._keys = keys
        self._login_claim = login_claim
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock.now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        self.scope = scope
        self.discovery = f"{issuer.rstrip('/')}/.well-known/openid-configuration" if "://" in issuer else ""

    async def verify(self, token: str) -> TokenClaims | TokenFault:
        try:
            claims = await self._signed(token)
        except KeysFailed:
            return TokenFault.KEYS
        if isinstance(claims, TokenFault):
            return claims
        try:
            self._claims.validate(claims)
        except errors.ExpiredTokenError:
            return TokenFault.EXPIRED
        except (errors.JoseError, ValueError, OverflowError):
            return TokenFault.NOT_FOR_US
        return self._allowed(claims)

    async def _signed(self, token: str) -> dict[str, Any] | TokenFault:
        """Its claims, if a key of the issuer signed them. Raises KeysFailed."""
        kid = _key_id(token)
        if kid is None:
            return TokenFault.MALFORMED
        key = await self._keys.find(kid)
        if key is None:
            return TokenFault.SIGNATURE
        return _decode(token, key)

    def _allowed(self, claims: dict[str, Any]) -> TokenClaims | TokenFault:
        if not set(self.scope.split()) <= _scopes(claims):
            return TokenFault.SCOPE
        login = claims.get(self._login_claim)
        if not isinstance(login, str) or not login.strip():
            return TokenFault.NOBODY
        if self._login_claim == "email" and claims.get("email_verified", True) not in (True, "true"):
            return TokenFault.UNVERIFIED
        return TokenClaims(login, float(claims["exp"]))


def _decode(token: str, key: Key) -> dict[str, Any] | TokenFault:
    try:
        return _quietly(token, key)
    except errors.BadSignatureError:
        return TokenFault.SIGNATURE
    except Exception:  # the library meets a stranger's octets here; its errors are of many kinds
        return TokenFault.MALFORMED


def _quietly(token: str, key: Key | Callable[[Any], Any]) -> dict[str, Any]:
    """The claims, if `key` signed them; raises whatever the library raises."""
    with warnings.catch_warnings():  # issuers say EdDSA, and will for years, where RFC 9864 says Ed25519
        warnings.simplefilter("ignore")
        return dict(jwt.decode(token, key, registry=_REGISTRY).claims)


def _key_id(token: str) -> str | None:
    """The kid of the header, '' if it has none; None if this is no token. Proves nothing."""
    seen: list[str] = []

    def look(guest: Any) -> Any:
        kid = guest.headers().get("kid", "")
        seen.append(kid if isinstance(kid, str) else "")
        raise errors.MissingKeyError

    try:
        _quietly(token, look)
    except Exception:  # as in _decode
        return seen[0] if seen else None
    return None


def _scopes(claims: dict[str, Any]) -> set[str]:
    """RFC 8693 §4.2: one string with spaces; some issuers write `scp`, some a list."""
    found = claims.get("scope", claims.get("scp", ""))
    if isinstance(found, str):
        return set(found.split())
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
