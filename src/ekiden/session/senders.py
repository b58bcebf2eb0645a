"""Sessions whose letters must be from who logged in: MAIL and the header section are held against the login (RFC 6409
§6.1).

Rules
1. The reverse-path is decided at MAIL; From, Sender, Resent-From and Resent-Sender when the header section is complete,
   and told at the end of the content. Nothing of a refused letter is kept.
2. Without a login nobody may send: the machine asks for one first, and here an error of ours would be the answer.
3. The usual letter, from the account's own address, costs no wait (`accounts.ownership`).

Base of the submission doors' session; the relay door knows no logins, so it does not ask.
"""

from __future__ import annotations

import asyncio

from ekiden.accounts.ownership import DIRECTORY_DOWN, Claims, Ownership
from ekiden.message.header import HeaderSection
from ekiden.message.originators import Claim, read_originators
from ekiden.model.account import Account
from ekiden.model.decision import Decision
from ekiden.model.events import SenderRefused
from ekiden.model.ids import render_id
from ekiden.policy.ownership import decide_originators
from ekiden.ports.wire import Wire
from ekiden.proto.smtp import events as ev
from ekiden.session.allowance import Allowance
from ekiden.session.conversation import Answer, Conversation, Pending
from ekiden.session.reception import Reception
from ekiden.session.smtp import SmtpSession, Transaction


class SenderSession(SmtpSession):
    """`sends_as` is called when the login is known."""

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        self._ownership: Ownership | None = None
        self._open_claims: Claims = ()  # of this letter's header section, not in memory

    def sends_as(self, account: Account) -> None:
        self.account = account.name
        self.allowance = Allowance(self.doorway, self.client, account=account.name, profile=account.profile)
        self._ownership = Ownership(account, self.doorway.directory, self.doorway.domains)

    # --- MAIL -------------------------------------------------------------------------------------------------

    def on_mail(self, event: ev.MailFrom) -> Answer:
        assert self._ownership is not None  # rule 2
        claims = ((Claim.REVERSE_PATH, event.reverse_path),)
        decision = self._ownership.decide(claims)
        if decision is None:
            return Pending(self._ownership.ask(claims), lambda done: self.sender_decided(event, done.result()))
        return self.sender_decided(event, decision)

    def sender_decided(self, event: ev.MailFrom, decision: Decision) -> Answer:
        """What `policy.ownership` said; `explain` listens here."""
        if decision.accepted:
            return super().on_mail(event)
        reply = decision.reply
        assert reply is not None
        self.doorway.events.emit(
            SenderRefused(
                session=render_id(self.conversation.id),
                door=self.doorway.door.value,
                client=self.client,
                account=self.account,
                reverse_path=str(event.reverse_path or ""),
                rule=decision.rule,
                reply=str(reply),
            )
        )
        return reply

    # --- the header section -----------------------------------------------------------------------------------

    def examine(self, section: HeaderSection) -> Decision | None:
        assert self._ownership is not None  # rule 2
        originators = read_originators(section)
        self._open_claims = ()
        decision = decide_originators(originators)
        if decision is None:
            decision = self._ownership.decide(originators.claims)
            if decision is None:
                self._open_claims = originators.claims
        return decision

    def hand_over(self, transaction: Transaction, reception: Reception) -> Answer:
        claims, self._open_claims = self._open_claims, ()
        if not claims:
            return super().hand_over(transaction, reception)
        assert self._ownership is not None
        self._transaction = transaction  # until it is decided: a connection that is lost meanwhile drops the letter
        return Pending(self._ownership.ask(claims), lambda done: self._examined(reception, done))

    def _examined(self, reception: Reception, done: asyncio.Future[Decision]) -> Answer:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return DIRECTORY_DOWN  # nobody hears it
        decision = done.result()
        if decision.accepted:
            return super().hand_over(transaction, reception)
        reception.refuse(decision)
        return self.refused(decision, transaction)
