"""GuardedAuthenticator: the Authenticator behind a guard that counts guesses, over all doors and workers.

Rules
1. Asked before anything is computed: a guesser costs no Argon2 (`policy.guessing` decides).
2. Counted is what was wrong: an unknown login, a wrong password, a SCRAM proof that fits nothing. Not a right secret
   that may not be used here, and not what could not be decided.
3. A token is looked at first: it is cheap, and a right one cannot be guessed. A wrong one is a guess; then the guard
   is asked.
4. What is counted is kept as a keyed hash that never reaches a disk (`ports.tally`).

Made by the composition root for each configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

from ekiden.accounts.bans import BanBook
from ekiden.accounts.login import Authenticator, ScramOffer
from ekiden.accounts.result import LoginReason, LoginResult, Scope
from ekiden.config.model import Limits
from ekiden.policy.guards import LOGIN_GUESSES, Guard
from ekiden.policy.guessing import WINDOW, GuessFacts, decide_login, guess_networks
from ekiden.policy.login_network import login_network
from ekiden.policy.networks import NetworkSet
from ekiden.ports.tally import Tally
from ekiden.proto.sasl import prepare

_WRONG: Final = frozenset({LoginReason.UNKNOWN_USER, LoginReason.WRONG_PASSWORD, LoginReason.DISABLED})
#: Not among them: what the issuer did sign, and may not be used (expired, without the scope, for nobody here).
_WRONG_TOKENS: Final = frozenset(
    {
        LoginReason.TOKEN_MALFORMED,
        LoginReason.TOKEN_SIGNATURE,
        LoginReason.TOKEN_NOT_FOR_US,
        LoginReason.TOKEN_OTHER,
    }
)
_ACCOUNT: Final = "guess:login:"


class Report(Protocol):
    """Tells the postmaster, once for each `who` and a while (`session.guard_report`)."""

    def acted(self, guard: Guard, who: str, reason: str, *, client: str) -> None: ...


class GuessGuard(NamedTuple):
    """`shared`: addresses of many clients. `unbannable`: those, and more. `pause`: waits so many seconds."""

    tally: Tally
    report: Report
    limits: Limits
    shared: NetworkSet
    bans: BanBook
    unbannable: NetworkSet
    pause: Callable[[float], Awaitable[None]]


class GuardedAuthenticator(Authenticator):
    def __init__(self, guard: GuessGuard, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._guard = guard

    async def check(self, login: str, password: str, *, client: str, scope: Scope) -> LoginResult:
        refusal = await self._refusal(login, client)
        if refusal is not None:
            return refusal
        result = await super().check(login, password, client=client, scope=scope)
        if result.reason in _WRONG:
            self._guessed(login, prepare(password).encode("utf-8", "surrogatepass"), client)
        return result

    async def scram_offer(self, login: str, client: str) -> ScramOffer | LoginResult:
        return await self._refusal(login, client) or await super().scram_offer(login, client)

    async def scram_judge(self, offer: ScramOffer, matched: int | None, *, client: str, scope: Scope) -> LoginResult:
        result = await super().scram_judge(offer, matched, client=client, scope=scope)
        if result.reason in _WRONG:
            self._guessed(offer.name, offer.nonce, client)
        return result

    async def check_token(self, login: str, token: str, *, client: str) -> LoginResult:
        result = await super().check_token(login, token, client=client)
        if result.reason not in _WRONG_TOKENS:
            return result
        refusal = await self._refusal(login, client)
        if refusal is None:
            self._guessed(login, token.encode("utf-8", "surrogatepass"), client)
        return refusal or result

    async def _refusal(self, login: str, client: str) -> LoginResult | None:
        """After the wait that the guard wants; None: the secret may be looked at."""
        guard, name = self._guard, self.account_name(login)
        networks = guess_networks(client)
        counts = [guard.tally.count(f"guess:{network}", WINDOW) for network in networks]
        facts = GuessFacts(
            bool(name) and await self._pairs.knows(name, login_network(client)),
            client in guard.shared,
            counts[0],
            (*counts[1:], guard.tally.count(_ACCOUNT + name, WINDOW) if name else 0),
            guard.limits.guesses,
        )
        verdict = decide_login(facts)
        if verdict.refused:
            reason = f"{facts.address} different wrong logins within an hour, {facts.limit} are allowed"
            guard.report.acted(LOGIN_GUESSES, networks[0], reason, client=client)
            await guard.bans.refused(client, networks[0], guard.limits, guard.unbannable)
            return LoginResult(None, LoginReason.GUESSING, self._tellable(login, name))
        if verdict.delay:
            await guard.pause(verdict.delay)
        return None

    def _guessed(self, login: str, secret: bytes, client: str) -> None:
        tally, name = self._guard.tally, self.account_name(login)
        item = (name or login).encode("utf-8", "surrogatepass") + b"\0" + secret
        for network in guess_networks(client):
            tally.add_distinct(f"guess:{network}", item, WINDOW)
        if name:
            tally.add_distinct(_ACCOUNT + name, item, WINDOW)
