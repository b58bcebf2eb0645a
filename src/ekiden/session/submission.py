"""The submission doors (587 with STARTTLS, 465 with TLS from the first byte): people send, after a login (RFC 6409,
RFC 8314).

Rules
1. Without TLS nobody is asked for a password (invariant 4): the machine announces AUTH only after the handshake.
2. The client gets the same answer for an unknown user and a wrong password; the reason is in the event.
3. Missing Date and Message-ID are added, Bcc is removed (RFC 6409 §8, RFC 5322 §3.6.3).
4. A letter is from who logged in (`session.senders`).
5. When the account changes (passwd, disable, remove) its open sessions end within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from ekiden.accounts.result import LoginResult
from ekiden.model.reply import Reply
from ekiden.ports.wire import Wire
from ekiden.proto import sasl
from ekiden.proto.smtp import events as ev
from ekiden.session.conversation import Answer, Challenge, Conversation, Pending
from ekiden.session.doorway import Doorway
from ekiden.session.login import LoginDesk, LoginRefusal
from ekiden.session.senders import SenderSession

WELCOME: Final = Reply(235, "2.7.0", "Welcome")
WRONG: Final = Reply(535, "5.7.8", "Login or password is wrong")
MALFORMED: Final = Reply(501, "5.5.2", "The login could not be understood")
BUSY: Final = Reply(454, "4.7.0", "Logins cannot be checked right now, please try again in a moment")
REFUSALS: Final = {LoginRefusal.MALFORMED: MALFORMED, LoginRefusal.WRONG: WRONG, LoginRefusal.LATER: BUSY}
TOO_MANY: Final = Reply(421, "4.7.0", "Too many failed logins, closing")


class SubmissionSession(SenderSession):
    mends_header: ClassVar[bool] = True

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        self.trusted = False  # on this door only a login counts
        self._epoch = 0
        self._desk = LoginDesk(self.doorway, conversation.id, wire, "submit")

    def handlers(self) -> dict[type, Callable[[Any], Answer]]:
        return super().handlers() | {
            ev.Auth: self.on_auth,
            ev.AuthResponse: self.on_auth_response,
            ev.AuthCancelled: self.on_auth_cancelled,
        }

    async def still_welcome(self) -> bool:
        return await self.doorway.authenticator.still_valid(self.account, self._epoch)

    def on_auth(self, event: ev.Auth) -> Answer:
        self._desk.begin(event.mechanism)
        return Pending(self._desk.step(event.initial), self._stepped)

    def on_auth_response(self, event: ev.AuthResponse) -> Answer:
        return Pending(self._desk.step(event.data), self._stepped)

    def on_auth_cancelled(self, event: ev.AuthCancelled) -> Answer:
        if self._desk.cancel():
            self.conversation.end(TOO_MANY, "guessing")
        return None

    def _stepped(self, done: asyncio.Future[sasl.Challenge | LoginResult | LoginRefusal]) -> Answer:
        step = done.result()
        if isinstance(step, sasl.Challenge):
            return Challenge(step.data)
        if step is LoginRefusal.TOO_MANY:
            self.conversation.end(TOO_MANY, "guessing")
            return None
        if isinstance(step, LoginRefusal):
            return REFUSALS[step]
        assert step.account is not None
        self.sends_as(step.account)
        self._epoch = step.account.epoch
        self.conversation.logged_in()
        self._desk.succeeded(step)
        return WELCOME


def submission_conversation(doorway: Doorway) -> Conversation:
    return Conversation(doorway, SubmissionSession)
