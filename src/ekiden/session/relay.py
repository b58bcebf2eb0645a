"""The relay door (25): other mail servers bring mail for our domains. STARTTLS is offered, a login never is.

Clients of `[relay] trusted_networks` may relay anywhere; everybody else reaches only our own domains (policy/relay.py),
and is judged by who it is (policy/callers.py). That is said at RCPT, so that the postmaster stays reachable for whoever
is refused by mistake (RFC 5321 §4.5.1). A mark stands as `X-Ekiden-Caller` above the letter, below our Received.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ekiden.model.decision import Decision
from ekiden.model.envelope import Envelope
from ekiden.model.reply import Reply
from ekiden.policy.callers import CallerFacts, Judgement
from ekiden.ports.spool import Claim
from ekiden.ports.wire import Wire
from ekiden.proto.smtp import events as ev
from ekiden.session.allowance import Allowance
from ekiden.session.conversation import Answer, Conversation, Pending
from ekiden.session.doorway import Doorway
from ekiden.session.reception import Reception
from ekiden.session.smtp import SmtpSession, Transaction

_MARK: Final = "X-Ekiden-Caller"
_GONE: Final = Reply(451, "4.3.0", "The transaction is over")


class RelaySession(SmtpSession):
    """Content passes unchanged but for trace fields on top (invariant 8)."""

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        if self.trusted:
            self.allowance = Allowance(self.doorway, self.client, profile=self.doorway.config.relay.profile)
        callers = self.doorway.callers
        self._callers = callers if callers is not None and not self.trusted and callers.judges(self.client) else None
        self._facts: CallerFacts | None = None
        self._judgement: Judgement | None = None

    def on_hello(self, event: ev.Hello) -> Answer:
        self._judgement = None
        return super().on_hello(event)

    def on_rcpt(self, event: ev.RcptTo) -> Answer:
        callers = self._callers
        if callers is None or event.forward_path.local_key == "postmaster":  # of other domains: relay control denies it
            return super().on_rcpt(event)
        if self._judgement is None:
            facts = callers.peek(self.client)
            if facts is None:
                return Pending(callers.learn(self.client), lambda done: self._learned(event, done.result()))
            self._judge(facts)
        return self._admit(event)

    def _learned(self, event: ev.RcptTo, facts: CallerFacts) -> Answer:
        if self._transaction is None:  # the connection went away while we asked
            return _GONE
        self._judge(facts)
        return self._admit(event)

    def _judge(self, facts: CallerFacts) -> None:
        assert self._callers is not None
        helo = self._hello.name if self._hello is not None else ""
        judgement = self._callers.judge(self.client, helo, facts)
        self._facts, self._judgement = facts, judgement
        if judgement.marked or not judgement.decision.accepted:
            self._callers.tell(self.conversation.id, self.client, helo, facts, judgement)

    def _admit(self, event: ev.RcptTo) -> Answer:
        assert self._judgement is not None
        assert self._transaction is not None
        if not self._judgement.decision.accepted:
            return self._recipient_refused(event, self._transaction, self._judgement.decision)
        return super().on_rcpt(event)

    def recipient_decided(self, event: ev.RcptTo, decision: Decision) -> Answer:
        transaction, callers = self._transaction, self._callers
        asked = decision.accepted and decision.rule != "postmaster"
        if asked and callers is not None and transaction is not None and self._facts is not None:
            later = callers.greylisted(self.client, transaction.reverse_path, event.forward_path.key, self._facts)
            if later is not None:
                return self._recipient_refused(event, transaction, later)
        return super().recipient_decided(event, decision)

    def _received_field(self, reception: Reception, transaction: Transaction) -> bytes:
        received = super()._received_field(reception, transaction)
        judgement = self._judgement
        if judgement is None or not judgement.marked:
            return received
        return received + f"{_MARK}: {judgement.decision.reason}\r\n".encode("ascii", "replace")

    def _accepted(self, transaction: Transaction, envelope: Envelope, done: asyncio.Future[list[Claim]]) -> Answer:
        answer = super()._accepted(transaction, envelope, done)
        if self._callers is not None and self.letters == 1:
            self._callers.brought_letter(self.client)
        return answer


def relay_conversation(doorway: Doorway) -> Conversation:
    return Conversation(doorway, RelaySession)
