"""The submission doors (587 with STARTTLS, 465 with TLS from the first byte): people send, after a login (RFC 6409,
RFC 8314).

Rules
1. Without TLS nobody is asked for a password (invariant 4): the machine announces AUTH only after the handshake.
2. The client gets the same answer for an unknown user and a wrong password; the reason is in the event.
3. Missing Date and Message-ID are added, Bcc is removed (RFC 6409 §8, RFC 5322 §3.6.3).
4. When the account changes (passwd, disable, remove) its open sessions end within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from ekiden.accounts.login import FAILED_LOGINS, LoginResult
from ekiden.model.events import LoginFailed, LoginSucceeded
from ekiden.model.ids import render_id
from ekiden.model.reply import Reply
from ekiden.ports.wire import Wire
from ekiden.proto import sasl
from ekiden.proto.smtp import events as ev
from ekiden.session.conversation import Answer, Challenge, Conversation, Pending
from ekiden.session.doorway import Doorway
from ekiden.session.smtp import SmtpSession

WELCOME: Final = Reply(235, "2.7.0", "Welcome")
WRONG: Final = Reply(535, "5.7.8", "Login or password is wrong")
MALFORMED: Final = Reply(501, "5.5.2", "The login could not be understood")
BUSY: Final = Reply(454, "4.7.0", "Logins cannot be checked right now, please try again in a moment")
TOO_MANY: Final = Reply(421, "4.7.0", "Too many failed logins, closing")


class SubmissionSession(SmtpSession):
    mends_header: ClassVar[bool] = True

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        self.trusted = False  # on this door only a login counts
        self._epoch = 0
        self._exchange: sasl.Exchange | None = None
        self._mechanism = ""
        self._failed = 0

    def handlers(self) -> dict[type, Callable[[Any], Answer]]:
        return super().handlers() | {
            ev.Auth: self.on_auth,
            ev.AuthResponse: self.on_auth_response,
            ev.AuthCancelled: self.on_auth_cancelled,
        }

    async def still_welcome(self) -> bool:
        return await self.doorway.authenticator.still_valid(self.account, self._epoch)

    def on_auth(self, event: ev.Auth) -> Answer:
        self._mechanism = event.mechanism
        self._exchange = sasl.mechanism(event.mechanism)
        return self._step(event.initial)

    def on_auth_response(self, event: ev.AuthResponse) -> Answer:
        return self._step(event.data)

    def on_auth_cancelled(self, event: ev.AuthCancelled) -> Answer:
        self._exchange = None
        return None

    def _step(self, data: bytes | None) -> Answer:
        assert self._exchange is not None
        step = self._exchange.step(data)
        if isinstance(step, sasl.Challenge):
            return Challenge(step.data)
        self._exchange = None
        if isinstance(step, sasl.SaslFault):
            return self._login_failed("", step.reason, MALFORMED if step.malformed else WRONG)
        checked = self.doorway.authenticator.check(step.login, step.password)
        return Pending(checked, self._checked)

    def _checked(self, done: asyncio.Future[LoginResult]) -> Answer:
        result = done.result()
        if result.account is None:
            if result.try_later:  # nothing was decided: no guess to count, but the postmaster should see it
                self._tell_failed(result.name, result.reason.value)
                return BUSY
            return self._login_failed(result.name, result.reason.value, WRONG)
        self.account = result.account.name
        self._epoch = result.account.epoch
        self.conversation.logged_in()
        self.doorway.events.emit(
            LoginSucceeded(
                session=render_id(self.conversation.id),
                door=self.doorway.door.value,
                client=self.client,
                account=self.account,
                mechanism=self._mechanism,
                tls=self.tls,
            )
        )
        return WELCOME

    def _login_failed(self, login: str, reason: str, reply: Reply) -> Answer:
        self._failed += 1
        self._tell_failed(login, reason)
        if self._failed >= FAILED_LOGINS:
            self.conversation.end(TOO_MANY, "guessing")
            return None
        return reply

    def _tell_failed(self, login: str, reason: str) -> None:
        self.doorway.events.emit(
            LoginFailed(
                session=render_id(self.conversation.id),
                door=self.doorway.door.value,
                client=self.client,
                account=login,
                mechanism=self._mechanism,
                reason=reason,
                level="warning",
            )
        )


def submission_conversation(doorway: Doorway) -> Conversation:
    return Conversation(doorway, SubmissionSession)
