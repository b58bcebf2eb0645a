"""FakeTokens: a TokenVerifier that knows a few tokens by heart."""

from __future__ import annotations

from ekiden.ports.tokens import TokenClaims, TokenFault


class FakeTokens:
    """`ports.tokens.TokenVerifier`. `known`: token -> whose it is, or what is wrong with it."""

    discovery = "https://login.example.test/.well-known/openid-configuration"
    scope = "mail"

    def __init__(self, known: dict[str, str | TokenFault]) -> None:
        self.known = known

    async def verify(self, token: str) -> TokenClaims | TokenFault:
        found = self.known.get(token, TokenFault.SIGNATURE)
        return found if isinstance(found, TokenFault) else TokenClaims(found, 2_000_000_000.0)
