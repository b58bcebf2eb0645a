"""Call-ahead: asks the next hop of a routed domain whether a recipient exists, before we take responsibility for the
letter (invariant 9: what can be refused at the door is refused there).

Rules
1. The question is MAIL FROM:<> and RCPT, then no content (RFC 5321 §3.3 lets us leave at any time).
2. Answers are remembered, negatives too; a next hop that is down is remembered shortly, so that a flood of unknown
   names does not become a flood of connections. Equal questions under way are asked once.
3. Whatever goes wrong is 450 4.4.1, never a refusal: only the next hop's own 5xx to RCPT says that somebody does not
   exist.

Implements `ports.recipients.RecipientProbe`; called by the relay and submission doors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from ekiden.delivery.road import Host, NoRoad
from ekiden.delivery.routing import Routing
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.envelope import Recipient
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.next_hop import NextHops
from ekiden.ports.clock import Clock
from ekiden.ports.wire import ConnectFailed, Connector
from ekiden.proto.smtp.client_events import ClientSettings, Phase, Transaction, TransactionEnded

#: Seconds that an answer is believed. A mailbox that exists rarely goes; a new one should work soon; a server that is
#: down is asked again after a minute.
KNOWN_SECONDS: Final = 7200.0
UNKNOWN_SECONDS: Final = 300.0
DOWN_SECONDS: Final = 60.0
#: Answers remembered: about 200 octets each. Beyond it the memory starts anew.
REMEMBERED: Final = 50_000
#: Questions at once. A client waits for its answer; more at once would be a flood against our own next hop.
AT_ONCE: Final = 20
#: How long a client at our door waits for the answer, all hosts together; well inside its own 5 minutes for RCPT
#: (RFC 5321 §4.5.3.2.3).
WITHIN: Final = 30.0


class CallAhead:
    """`routing` and `next_hops` are those of one configuration: a reload makes a new CallAhead."""

    def __init__(
        self, next_hops: NextHops, routing: Routing, connector: Connector, clock: Clock, hostname: str
    ) -> None:
        self._next_hops = next_hops
        self._routing = routing
        self._connector = connector
        self._clock = clock
        self._hostname = hostname
        self._known: dict[str, tuple[float, Reply]] = {}
        self._asking: dict[str, asyncio.Future[Reply]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def peek(self, mailbox: Mailbox) -> Reply | None:
        found = self._known.get(mailbox.key)
        return found[1] if found is not None and self._clock.monotonic() < found[0] else None

    async def ask(self, mailbox: Mailbox) -> Reply:
        known = self.peek(mailbox)
        if known is not None:
            return known
        key = mailbox.key
        question = self._asking.get(key)
        if question is None:
            question = self._asking[key] = asyncio.ensure_future(self._question(mailbox))
            question.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(question)

    async def _question(self, mailbox: Mailbox) -> Reply:
        try:
            async with self._places, asyncio.timeout(WITHIN):
                reply = await self._try_hosts(mailbox)
        except TimeoutError:
            reply = _down("the next hop took too long")
        self._remember(mailbox.key, reply)
        return reply

    async def _try_hosts(self, mailbox: Mailbox) -> Reply:
        road = await self._routing.road(self._next_hops.key(mailbox))
        if isinstance(road, NoRoad):
            return _down(road.text)
        reply = _down("no host")
        for host in road:
            reply = await self._ask_host(host, mailbox)
            if not reply.is_transient:
                break
        return reply

    async def _ask_host(self, host: Host, mailbox: Mailbox) -> Reply:
        owner = _Question(mailbox)
        connection = SmtpConnection(_settings(host, self._hostname), owner, _no_tasks)
        try:
            await self._connector.connect(host.where, connection, host.tls, within=WITHIN, source=host.source.address)
            return await owner.answer
        except ConnectFailed as error:
            return _down(str(error))
        finally:
            if not connection.is_closed:
                connection.quit() if owner.answer.done() and not owner.answer.cancelled() else connection.abort()

    def _remember(self, key: str, reply: Reply) -> None:
        seconds = KNOWN_SECONDS if reply.is_positive else UNKNOWN_SECONDS if reply.is_permanent else DOWN_SECONDS
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (self._clock.monotonic() + seconds, reply)


class _Question:
    """The ConnectionOwner of one probe; `answer` is decided by the first callback that knows."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def on_ready(self, connection: SmtpConnection) -> None:
        utf8 = self._mailbox.needs_smtputf8
        connection.send(Transaction("", [Recipient(str(self._mailbox))], smtputf8=utf8, probe=True))

    def on_free(self, connection: SmtpConnection) -> None:
        """One question a connection."""

    def on_transaction_ended(self, connection: SmtpConnection, ended: TransactionEnded) -> None:
        # a refusal of MAIL stands in the recipient's place too, but says nothing about the recipient
        mail = ended.transaction.mail_reply
        refused = mail is not None and not mail.is_positive
        self._decide(_down(f"MAIL was refused: {mail}") if refused else ended.replies[0])

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        self._decide(_down(f"{phase.value}: {reply}"))

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        self._decide(_down(str(reason)))

    def _decide(self, reply: Reply) -> None:
        if not self.answer.done():
            self.answer.set_result(reply)


def _settings(host: Host, hostname: str) -> ClientSettings:
    login = host.credentials
    return ClientSettings(
        host.source.helo or hostname,
        host.tls,
        login.username if login is not None else "",
        login.password if login is not None else "",
        host.allow_unverified_login,
        host.lmtp,
    )


def _down(text: str) -> Reply:
    return Reply(450, "4.4.1", text)


def _no_tasks(coroutine: Coroutine[object, object, None]) -> object:
    coroutine.close()
    raise RuntimeError("a probe has no content to read")
