"""LoginDesk: the logins of one connection, the same for SMTP and POP3: drives the exchange, counts what fails, tells
the postmaster.

    desk.begin("PLAIN"); await desk.step(initial)  -> Challenge | LoginResult (the client is in) | LoginRefusal
    await desk.password(login, password)           -> the same, for USER and PASS
    desk.succeeded(result)                         the session let it in: the event

Rules
1. A refusal says what the client hears, in the protocol's own words; why, only the event knows.
2. What could not be decided (`LATER`) is no failed login; who asks LATER_AT_MOST times all the same has to come back
   on another connection: asking is cheaper than answering.
3. After FAILED_LOGINS failed ones the connection ends (`TOO_MANY`).

Called by `session.submission` and `session.pop3`, which make one for each TLS state of a connection.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Protocol

from ekiden.accounts.exchange import LoginExchange
from ekiden.accounts.login import FAILED_LOGINS, Authenticator
from ekiden.accounts.result import LoginReason, LoginResult, Scope
from ekiden.model.door import Door
from ekiden.model.events import LoginFailed, LoginSucceeded
from ekiden.model.ids import render_id
from ekiden.ports.events import EventSink
from ekiden.ports.wire import Wire
from ekiden.proto.sasl import Challenge, SaslFault

#: Mail programs wait, or give up; only who guesses asks on and on.
LATER_AT_MOST: Final = 10


class LoginRefusal(Enum):
    """What the client hears."""

    MALFORMED = "malformed"  # SMTP 501 5.5.2
    WRONG = "wrong"  # SMTP 535 5.7.8, POP3 [AUTH]
    LATER = "later"  # SMTP 454 4.7.0, POP3 [SYS/TEMP]
    TOO_MANY = "too-many"  # the same as WRONG, and the connection ends


class LoginDoorway(Protocol):
    """What a desk needs of its door."""

    @property
    def door(self) -> Door: ...

    @property
    def events(self) -> EventSink: ...

    @property
    def authenticator(self) -> Authenticator: ...


class LoginDesk:
    """`session`: id of the connection. `wire`: as it is now; after a TLS handshake a new desk is needed."""

    __slots__ = (
        "_binding",
        "_client",
        "_doorway",
        "_exchange",
        "_failed",
        "_later",
        "_mechanism",
        "_scope",
        "_session",
        "_tls",
        "_verdict",
    )

    def __init__(self, doorway: LoginDoorway, session: int, wire: Wire, scope: Scope) -> None:
        self._doorway = doorway
        self._session = session
        self._scope: Scope = scope
        self._client = wire.peer.address
        self._tls = "" if wire.tls is None else str(wire.tls)
        self._binding = b"" if wire.tls is None else wire.tls.server_end_point
        self._mechanism = ""
        self._exchange: LoginExchange | None = None
        self._verdict: LoginResult | LoginRefusal | None = None
        self._failed = 0
        self._later = 0

    def begin(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._exchange = LoginExchange(
            self._doorway.authenticator, mechanism, binding=self._binding, client=self._client, scope=self._scope
        )

    def cancel(self) -> bool:
        """The client gave the exchange up. True: with a failure that was one too many, and the connection ends."""
        verdict, self._exchange, self._verdict = self._verdict, None, None
        return verdict is LoginRefusal.TOO_MANY

    async def step(self, data: bytes | None) -> Challenge | LoginResult | LoginRefusal:
        """`data`: the decoded message of the client, None if there was no initial response."""
        assert self._exchange is not None, "begin comes first"
        if self._verdict is not None:
            verdict, self._exchange, self._verdict = self._verdict, None, None
            return verdict
        step = await self._exchange.step(data)
        if isinstance(step, Challenge):
            if self._exchange.failed is not None:  # counted now: many clients answer such a challenge by going away
                self._verdict = self._judged(self._exchange.failed)
            return step
        self._exchange = None
        if isinstance(step, SaslFault):
            reason = f"malformed: {step.reason}" if step.malformed else step.reason
            return self._refused("", reason, LoginRefusal.MALFORMED if step.malformed else LoginRefusal.WRONG)
        return self._judged(step)

    async def password(self, login: str, password: str) -> LoginResult | LoginRefusal:
        self._mechanism = "USER"
        return self._judged(
            await self._doorway.authenticator.check(login, password, client=self._client, scope=self._scope)
        )

    def _judged(self, result: LoginResult) -> LoginResult | LoginRefusal:
        if result.account is not None:
            return result
        if result.reason is LoginReason.GUESSING:  # the guard tells of it, once
            return LoginRefusal.TOO_MANY
        if result.try_later:  # nothing was decided: no guess to count, but the postmaster should see it
            self.failed(result.name, result.reason)
            self._later += 1
            return LoginRefusal.TOO_MANY if self._later >= LATER_AT_MOST else LoginRefusal.LATER
        return self._refused(result.name, result.reason, LoginRefusal.WRONG, result.app_password)

    def _refused(self, account: str, reason: str, refusal: LoginRefusal, app_password: str = "") -> LoginRefusal:
        self._failed += 1
        self.failed(account, reason, app_password)
        return LoginRefusal.TOO_MANY if self._failed >= FAILED_LOGINS else refusal

    def succeeded(self, result: LoginResult) -> None:
        self._doorway.events.emit(
            LoginSucceeded(
                session=render_id(self._session),
                door=self._doorway.door.value,
                client=self._client,
                account=result.name,
                mechanism=self._mechanism,
                tls=self._tls,
                app_password=result.app_password,
                password_until=result.password_until,
                level="warning" if result.password_until else "info",
            )
        )

    def failed(self, account: str, reason: str, app_password: str = "") -> None:
        self._doorway.events.emit(
            LoginFailed(
                session=render_id(self._session),
                door=self._doorway.door.value,
                client=self._client,
                account=account,
                mechanism=self._mechanism,
                reason=str(reason),
                app_password=app_password,
                level="warning",
            )
        )
