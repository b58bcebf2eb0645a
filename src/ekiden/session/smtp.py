"""What relay and submission have in common: the transaction, from MAIL to the letter in the spool.

The pattern (DESIGN §1): gather facts → decide (policy, pure) → act → reply. A cached fact needs no wait; one that is
not comes as `Pending`. The doors differ in who may send (`account`, `trusted`) and in what is mended (`mends_header`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from ekiden.message.header import HeaderSection
from ekiden.message.trace import protocol_keyword, render_received
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.events import LetterAccepted, LetterRefused, RecipientRefused
from ekiden.model.ids import render_id
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.networks import is_literal_of
from ekiden.policy.priority import grant_priority
from ekiden.policy.relay import RecipientFacts, decide_recipient
from ekiden.ports.directory import DirectoryFailed
from ekiden.ports.spool import Claim, SpoolFailed
from ekiden.ports.wire import Wire
from ekiden.proto.smtp import events as ev
from ekiden.session.allowance import Allowance
from ekiden.session.conversation import Answer, Conversation, Pending
from ekiden.session.examination import Examination
from ekiden.session.harvest import Harvest
from ekiden.session.reception import Reception, storage_failed

DIRECTORY_DOWN: Final = Reply(451, "4.3.0", "Recipients cannot be checked right now, please try again later")
#: How many forward-paths an event lists; the trail has all of them.
LISTED_RECIPIENTS: Final = 20


class Transaction:
    """MAIL to end of data. `recipients` by key, so that a repeated RCPT is delivered once. `counted`: recipients that
    limits count; `strangers`: those that the account never wrote to before. `hold_reason`: why the letter is taken but
    held, for whoever looks at it; '' lets it go its way. `content_rules`: names of those that held or marked it."""

    __slots__ = (
        "content_rules",
        "counted",
        "hold_reason",
        "mail",
        "priority",
        "reception",
        "recipients",
        "strangers",
    )

    def __init__(self, mail: ev.MailFrom) -> None:
        self.hold_reason = ""
        self.content_rules: tuple[str, ...] = ()
        self.mail = mail
        self.priority = 0
        self.counted = 0
        self.strangers: list[str] = []
        self.recipients: dict[str, tuple[Mailbox, Recipient]] = {}
        self.reception: Reception | None = None

    @property
    def reverse_path(self) -> str:
        return str(self.mail.reverse_path) if self.mail.reverse_path is not None else ""


class SmtpSession:
    """Base of the doors' sessions. One object a connection and TLS state."""

    mends_header: ClassVar[bool] = False

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        self.doorway = conversation.doorway
        self.conversation = conversation
        self.client = wire.peer.address
        self._here = wire.local.address
        self.tls = "" if wire.tls is None else str(wire.tls)
        self.trusted = wire.peer.address in self.doorway.trusted
        self.account = ""
        self.letters = 0
        self.allowance: Allowance | None = None
        self._harvest = Harvest(self.doorway, self.client)
        self._hello: ev.Hello | None = None
        self._transaction: Transaction | None = None

    def handlers(self) -> dict[type, Callable[[Any], Answer]]:
        return {
            ev.Hello: self.on_hello,
            ev.MailFrom: self.on_mail,
            ev.RcptTo: self.on_rcpt,
            ev.ContentBegins: self.on_content_begins,
            ev.ContentChunk: self.on_content_chunk,
            ev.ContentEnds: self.on_content_ends,
            ev.ContentAborted: self.on_content_aborted,
            ev.Reset: self.on_reset,
        }

    async def still_welcome(self) -> bool:
        return True

    def abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None and transaction.reception is not None:
            transaction.reception.discard()

    # --- one method an event ----------------------------------------------------------------------------------

    def on_hello(self, event: ev.Hello) -> Answer:
        self.abandon()
        self._hello = event
        return None

    def on_mail(self, event: ev.MailFrom) -> Answer:
        if self.allowance is not None and (refusal := self.allowance.may_begin()) is not None:
            return self.refused(refusal, Transaction(event))
        self._transaction = Transaction(event)
        return self._grant_priority(event.priority) if event.priority else None

    def _grant_priority(self, wanted: int) -> Reply | None:
        """RFC 6710 §4.1: a client that gets less than it asked for is told by 2.3.6 and the new number."""
        transaction = self._transaction
        assert transaction is not None
        known = bool(self.account) or self.trusted
        granted = grant_priority(wanted, known=known, most=self.doorway.config.limits.priority)
        transaction.priority = granted
        return None if granted == wanted else Reply(250, "2.3.6", f"{granted} is the new priority of this letter")

    def on_rcpt(self, event: ev.RcptTo) -> Answer:
        mailbox = event.forward_path
        domain = self.doorway.domains.get(mailbox.domain_key)
        facts = RecipientFacts(mailbox, domain, account=self.account, trusted=self.trusted)
        if mailbox.domain.startswith("[") and is_literal_of(mailbox.domain, self._here):
            facts = facts._replace(here=True)
        decision = decide_recipient(facts)
        while isinstance(decision, Ask):
            known = self._peek(decision.fact, facts)
            if known is None:
                return Pending(
                    self._decide_slowly(facts, decision), lambda done: self.recipient_decided(event, done.result())
                )
            facts = known
            decision = decide_recipient(facts)
        return self.recipient_decided(event, decision)

    def on_content_begins(self, event: ev.ContentBegins) -> Answer:
        transaction = self._transaction
        assert transaction is not None
        try:
            reception = Reception(
                self.doorway, complete=self.mends_header, examine=self.examine, examination=self._examination()
            )
        except SpoolFailed as error:
            return self.refused(storage_failed(error), transaction)
        reception.begin(self._received_field(reception, transaction))
        transaction.reception = reception
        return None

    def on_content_chunk(self, event: ev.ContentChunk) -> Answer:
        assert self._transaction is not None
        assert self._transaction.reception is not None
        wait = self._transaction.reception.chunk(event.data)
        return None if wait is None else Pending(wait, _nothing)

    def on_content_aborted(self, event: ev.ContentAborted) -> Answer:
        self.refused(Decision(Verdict.REJECT, "content", "", event.reply), self._transaction)
        self.abandon()
        return None

    def on_reset(self, event: ev.Reset) -> Answer:
        self.abandon()
        return None

    def on_content_ends(self, event: ev.ContentEnds) -> Answer:
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        reception = transaction.reception
        assert reception is not None
        reception.end()
        if reception.refusal is not None:
            return self.refused(reception.refusal, transaction)
        if reception.ruling is not None:
            transaction.hold_reason = transaction.hold_reason or reception.ruling.hold_reason
            transaction.content_rules = reception.ruling.rules
        return self.hand_over(transaction, reception)

    def _examination(self) -> Examination | None:
        """By the content rules that are for this login; None without any."""
        if not self.doorway.content_rules:
            return None
        rules = [rule for rule in self.doorway.content_rules if rule.is_for(self.account)]
        return Examination(rules) if rules else None

    def hand_over(self, transaction: Transaction, reception: Reception) -> Answer:
        """The letter is whole and nothing speaks against it: to the spool."""
        envelope = self._envelope(transaction, reception)
        legs = self._legs(envelope, transaction)
        if self.account and not transaction.hold_reason:
            transaction.hold_reason = self.doorway.brakes.why_held(self.account)
        if reason := transaction.hold_reason:
            for leg in legs:
                leg.hold_reason = reason
        room = not reason and self.doorway.window.has_room(envelope.size_octets)
        accepted = self.doorway.spool.accept(reception.draft, envelope, legs, claim=room)
        return Pending(accepted, lambda done: self._accepted(transaction, envelope, done))

    def examine(self, section: HeaderSection) -> Decision | None:
        """What the door says about a header section: a refusal, or None if nothing speaks against it so far."""
        return None

    # --- recipients -------------------------------------------------------------------------------------------

    def _peek(self, fact: str, facts: RecipientFacts) -> RecipientFacts | None:
        """The facts with `fact` filled in from memory, or None if it must be asked for."""
        mailbox = facts.forward_path
        if fact == "standing":
            entry = self.doorway.directory.peek(mailbox)
            return None if entry is None else facts._replace(standing=entry.standing)
        if fact == "listed":
            assert facts.domain is not None
            path = facts.domain.recipients.partition(":")[2]
            return facts._replace(listed=self.doorway.lists.contains(path, mailbox.key))
        probe = self.doorway.probe.peek(mailbox)
        return None if probe is None else facts._replace(probe=probe)

    async def _decide_slowly(self, facts: RecipientFacts, decision: Decision | Ask) -> Decision:
        mailbox = facts.forward_path
        while isinstance(decision, Ask):
            if decision.fact == "standing":
                try:
                    entry = await self.doorway.directory.find(mailbox)
                except DirectoryFailed as error:
                    return Decision(Verdict.DEFER, "directory-down", str(error), DIRECTORY_DOWN)
                facts = facts._replace(standing=entry.standing)
            elif decision.fact == "probe":
                facts = facts._replace(probe=await self.doorway.probe.ask(mailbox))
            else:
                known = self._peek(decision.fact, facts)
                assert known is not None
                facts = known
            decision = decide_recipient(facts)
        return decision

    def recipient_decided(self, event: ev.RcptTo, decision: Decision) -> Answer:
        """What `policy.relay` said; `explain` listens here."""
        transaction = self._transaction
        if transaction is None:  # the connection went away while we asked
            return DIRECTORY_DOWN
        if not decision.accepted:
            decision = self._harvest.judge(
                event.forward_path.key, decision, privileged=bool(self.account) or self.trusted
            )
            return self._recipient_refused(event, transaction, decision)
        mailbox = self._whole(event.forward_path)
        if mailbox.key in transaction.recipients:
            return None
        quotas = self.doorway.quotas
        entry = None if quotas is None or decision.rule == "postmaster" else self.doorway.directory.peek(mailbox)
        if quotas is None or entry is None or not entry.account:
            return self._within_limits(event, mailbox, decision)
        size = transaction.mail.size
        room = quotas.peek(entry.account, entry.quota, size)
        if room is not None:
            return self._with_room(event, mailbox, decision, room)
        return Pending(
            quotas.ask(entry.account, entry.quota, size),
            lambda done: self._with_room(event, mailbox, decision, done.result()),
        )

    def _with_room(self, event: ev.RcptTo, mailbox: Mailbox, decision: Decision, room: Decision) -> Answer:
        transaction = self._transaction
        if transaction is None:  # the connection went away while we asked
            return DIRECTORY_DOWN
        if not room.accepted:
            return self._recipient_refused(event, transaction, room)
        return self._within_limits(event, mailbox, decision)

    def _within_limits(self, event: ev.RcptTo, mailbox: Mailbox, decision: Decision) -> Answer:
        allowance = self.allowance
        if allowance is None or not allowance.counts(decision.rule):
            return self._take(event, mailbox, decision.rule)
        refusal = None if decision.rule == "postmaster" else allowance.forbids(mailbox.domain_key)
        if refusal is not None:
            assert self._transaction is not None
            return self._recipient_refused(event, self._transaction, refusal)
        known = allowance.knows(mailbox.key)
        if known is not None:
            return self._take_counted(event, mailbox, decision.rule, known=known)
        return Pending(
            allowance.ask(mailbox.key),
            lambda done: self._take_counted(event, mailbox, decision.rule, known=done.result()),
        )

    def _take_counted(self, event: ev.RcptTo, mailbox: Mailbox, rule: str, *, known: bool) -> Answer:
        transaction, allowance = self._transaction, self.allowance
        assert allowance is not None
        if transaction is None:  # the connection went away while we asked
            return DIRECTORY_DOWN
        refusal = allowance.take(mailbox.key, transaction.counted, known=known)
        if refusal is not None:
            return self._recipient_refused(event, transaction, refusal)
        transaction.counted += 1
        if not known:
            transaction.strangers.append(mailbox.key)
        return self._take(event, mailbox, rule)

    def _take(self, event: ev.RcptTo, mailbox: Mailbox, rule: str) -> Answer:
        assert self._transaction is not None
        recipient = Recipient(str(mailbox), event.notify, event.orcpt, rule=rule)
        self._transaction.recipients[mailbox.key] = (mailbox, recipient)
        return None

    def _recipient_refused(self, event: ev.RcptTo, transaction: Transaction, decision: Decision) -> Reply:
        reply = decision.reply
        assert reply is not None
        self.doorway.events.emit(
            RecipientRefused(
                session=render_id(self.conversation.id),
                door=self.doorway.door.value,
                client=self.client,
                reverse_path=transaction.reverse_path,
                forward_path=str(event.forward_path),
                rule=decision.rule,
                reply=str(reply),
                account=self.account,
            )
        )
        return reply

    def _whole(self, mailbox: Mailbox) -> Mailbox:
        """`<postmaster>` gets our first domain, so that it has a mailbox (RFC 5321 §4.5.1); so at our own address."""
        if mailbox.domain and not (mailbox.domain.startswith("[") and mailbox.local_key == "postmaster"):
            return mailbox
        if mailbox.domain and not is_literal_of(mailbox.domain, self._here):
            return mailbox
        domains = self.doorway.config.domain
        return Mailbox(mailbox.local_part, domains[0].name if domains else self.doorway.config.hostname)

    # --- the letter -------------------------------------------------------------------------------------------

    def _received_field(self, reception: Reception, transaction: Transaction) -> bytes:
        hello = self._hello
        only = next(iter(transaction.recipients.values()))[0] if len(transaction.recipients) == 1 else None
        return render_received(
            helo=hello.name if hello is not None else "",
            client=self.client,
            hostname=self.doorway.config.hostname,
            protocol=self._protocol(transaction),
            letter=render_id(reception.draft.letter),
            tls=self.tls,
            for_recipient=str(only) if only is not None else "",
            now=self.doorway.clock.now(),
            priority=transaction.priority,
        )

    def _protocol(self, transaction: Transaction) -> str:
        return protocol_keyword(
            extended=self._hello is not None and self._hello.extended,
            tls=bool(self.tls),
            auth=bool(self.account),
            utf8=transaction.mail.smtputf8,
        )

    def _envelope(self, transaction: Transaction, reception: Reception) -> Envelope:
        mail = transaction.mail
        origin = Origin(
            door=self.doorway.door.value,
            session=self.conversation.id,
            client=self.client,
            helo=self._hello.name if self._hello is not None else "",
            account=self.account,
            tls=self.tls,
            protocol=self._protocol(transaction),
        )
        return Envelope(
            transaction.reverse_path,
            self.doorway.clock.now(),
            origin,
            reception.draft.size_octets,
            reception.header_octets,
            "8BITMIME" if reception.is_8bit else mail.body,
            mail.smtputf8,
            mail.ret,
            mail.envid,
            reception.message_id,
            priority=transaction.priority,
            content_rules=transaction.content_rules,
        )

    def _legs(self, envelope: Envelope, transaction: Transaction) -> list[NewLeg]:
        """The recipients by next hop (DESIGN §5: the key is pure, and fixed now)."""
        reverse = transaction.mail.reverse_path
        flow = self.account or (reverse.domain_key if reverse is not None else "")
        recipients = [recipient for _, recipient in transaction.recipients.values()]
        return self.doorway.next_hops.legs(envelope, recipients, flow=flow, priority=transaction.priority)

    def _accepted(self, transaction: Transaction, envelope: Envelope, done: asyncio.Future[list[Claim]]) -> Answer:
        assert transaction.reception is not None
        letter = render_id(transaction.reception.draft.letter)
        try:
            claims = done.result()
        except SpoolFailed as error:
            return self.refused(storage_failed(error), transaction)
        if claims:
            self.doorway.window.offer(claims)
        elif not transaction.hold_reason:
            self.doorway.window.nudge()
        self.letters += 1
        if transaction.strangers and not transaction.hold_reason and self.allowance is not None:
            self.allowance.learned(transaction.strangers)
        self.doorway.events.emit(self._accepted_event(letter, transaction, envelope))
        return Reply(250, "2.0.0", f"Queued as {letter}")

    def _accepted_event(self, letter: str, transaction: Transaction, envelope: Envelope) -> LetterAccepted:
        paths = [str(mailbox) for mailbox, _ in list(transaction.recipients.values())[:LISTED_RECIPIENTS]]
        return LetterAccepted(
            letter=letter,
            session=render_id(self.conversation.id),
            door=self.doorway.door.value,
            client=self.client,
            account=self.account,
            tls=self.tls,
            reverse_path=envelope.reverse_path,
            recipients=paths,
            recipient_count=len(transaction.recipients),
            size=envelope.size_octets,
            message_id=envelope.message_id,
            held=transaction.hold_reason,
            rules=list(envelope.content_rules),
            first_time=len(transaction.strangers),
        )

    def refused(self, decision: Decision, transaction: Transaction | None) -> Reply:
        reply = decision.reply
        assert reply is not None
        self.doorway.events.emit(
            LetterRefused(
                session=render_id(self.conversation.id),
                door=self.doorway.door.value,
                client=self.client,
                account=self.account,
                reverse_path=transaction.reverse_path if transaction is not None else "",
                rule=decision.rule,
                reason=decision.reason,
                reply=str(reply),
            )
        )
        return reply


def _nothing(done: asyncio.Future[Any]) -> Answer:
    done.result()
    return None
