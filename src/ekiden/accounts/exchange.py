"""LoginExchange: one SASL exchange from its first message to a LoginResult, the same for SMTP and POP3.

    exchange = LoginExchange(authenticator, "SCRAM-SHA-256", binding=…, client=…, scope="submit")
    await exchange.step(initial)    -> Challenge: send it, and feed the answer
                                    -> LoginResult: right, wrong, or try later; it is over
                                    -> SaslFault: what came could not be understood or honoured; it is over

SCRAM's last word is the server's: in SMTP and POP3 it goes out as one more challenge, which the client answers with
an empty line (RFC 4954 §4, RFC 5034 §4). Only then is it in. Called by `session.login`.
"""

from __future__ import annotations

from typing import assert_never

from ekiden.accounts.login import Authenticator, ScramOffer
from ekiden.accounts.result import LoginReason, LoginResult, Scope
from ekiden.proto import sasl


class LoginExchange:
    """`mechanism`: one that was offered. `binding`: tls-server-end-point of the connection, b'' if it has none."""

    __slots__ = ("_authenticator", "_client", "_exchange", "_matched", "_offer", "_scope", "failed")

    def __init__(
        self, authenticator: Authenticator, mechanism: str, *, binding: bytes, client: str, scope: Scope
    ) -> None:
        exchange = sasl.mechanism(mechanism, binding=binding)
        assert exchange is not None, f"{mechanism} was offered and there is none"
        self._exchange = exchange
        self._authenticator = authenticator
        self._client = client
        self._scope: Scope = scope
        self._offer: ScramOffer | None = None
        self._matched: int | None = None
        #: A token was refused, and the client was sent the reason: whatever it answers, it is out.
        self.failed: LoginResult | None = None

    async def step(self, data: bytes | None) -> sasl.Challenge | LoginResult | sasl.SaslFault:
        """`data`: the decoded message; None if AUTH came without an initial response."""
        if self._matched is not None:
            return await self._let_in(data)
        step = self._exchange.step(data)
        match step:
            case sasl.Challenge() | sasl.SaslFault():
                return step
            case sasl.Credentials():
                return await self._authenticator.check(
                    step.login, step.password, client=self._client, scope=self._scope
                )
            case sasl.ScramLookup():
                return await self._look_up(step.login)
            case sasl.ScramResult():
                return await self._judge(step)
            case sasl.BearerToken():
                return await self._look_at_token(step)
            case _:
                assert_never(step)

    async def _look_at_token(self, shown: sasl.BearerToken) -> sasl.Challenge | LoginResult:
        """A token that is refused gets the reason as a challenge first, for programs (RFC 7628 §3.2.2)."""
        assert isinstance(self._exchange, sasl.Bearer)
        result = await self._authenticator.check_token(shown.login, shown.token, client=self._client)
        tokens = self._authenticator.tokens
        if result.account is not None or result.try_later or tokens is None:
            return result
        self.failed = result
        return self._exchange.failure(
            scope_is_missing=result.reason is LoginReason.TOKEN_SCOPE, scope=tokens.scope, discovery=tokens.discovery
        )

    async def _look_up(self, login: str) -> sasl.Challenge | LoginResult:
        offer = await self._authenticator.scram_offer(login, self._client)
        if isinstance(offer, LoginResult):
            return offer
        assert isinstance(self._exchange, sasl.Scram)
        self._offer = offer
        return self._exchange.offer(offer.salt, offer.iterations, offer.keys, offer.nonce)

    async def _judge(self, proven: sasl.ScramResult) -> sasl.Challenge | LoginResult:
        assert self._offer is not None
        result = await self._authenticator.scram_judge(
            self._offer, proven.matched, client=self._client, scope=self._scope
        )
        if result.account is None:
            return result
        self._matched = proven.matched
        return sasl.Challenge(proven.final)

    async def _let_in(self, data: bytes | None) -> LoginResult | sasl.SaslFault:
        assert self._offer is not None
        if data:
            return sasl.SaslFault("SCRAM ends with an empty message of the client")
        result = await self._authenticator.scram_judge(
            self._offer, self._matched, client=self._client, scope=self._scope
        )
        return result if result.account is None else await self._authenticator.let_in(result, self._client)
