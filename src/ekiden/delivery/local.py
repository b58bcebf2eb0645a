"""Local delivery: into mailboxes of ours, and through aliases.

Rules
1. The directory is asked at every attempt: an account that was removed after its letter was accepted is reported, not
   forgotten. An account that may not log in still receives.
2. Return-Path and Delivered-To are put in front (RFC 5321 §4.4, RFC 9228). `Mailboxes.deliver` makes no second copy for
   the same letter and recipient, so a repeated attempt is harmless.
3. An alias is replaced by its targets as new legs of the same letter. Nobody comes twice; a target that is the alias
   itself means the account behind it; after `DEPTH` aliases in a row it is a loop (554 5.4.6).
4. A directory or mailbox that fails delays. What it says is for the log, never for a report (invariant 7).
5. A mailbox that is full delays, too (`accounts.quotas`): nothing is lost because somebody was on holiday.
6. At most `CONCURRENT` legs at once: mailboxes wait for the disk, not for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from ekiden.accounts.quotas import Quotas
from ekiden.delivery.attempt import Attempt
from ekiden.delivery.fairness import FlowQueue
from ekiden.delivery.faults import Faults
from ekiden.delivery.pace import Pace
from ekiden.delivery.report import EXPANDED_TO_SEVERAL, targets_notify
from ekiden.delivery.tools import Tools
from ekiden.message.trace import render_delivered_to, render_return_path
from ekiden.model.account import DirectoryEntry, Standing
from ekiden.model.envelope import Recipient
from ekiden.model.ids import LetterId
from ekiden.model.mailbox import Mailbox
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.policy.route_match import mailbox_of
from ekiden.ports.directory import DirectoryFailed
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.ports.spool import SpoolFailed

#: Of our own notices, which say that a mailbox is nearly full.
NOTICE_DOOR: Final = "notice"
#: Alias expansions in a row (invariant 9). Hand-made chains have two or three; Postfix allows 1000, sendmail 10.
DEPTH: Final = 10
#: Legs at once. Enough to fill a group of syncs, few enough to leave threads for the spool.
CONCURRENT: Final = 32

Finished = Callable[[Attempt, list[Recipient]], None]
Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class LocalSite:
    """The site of the `local` key. `finished(attempt, expanded)`: called once an attempt, when all are decided."""

    def __init__(self, tools: Tools, faults: Faults, *, spawn: Spawn, finished: Finished) -> None:
        self._directory = tools.directory
        self._mailboxes = tools.mailboxes
        self._clock = tools.clock
        self._quotas = tools.quotas
        self._faults = faults
        self._home = ""
        self._spawn = spawn
        self._finished = finished
        self._queue = FlowQueue()
        self._running = 0
        self.pace = Pace()

    @property
    def held(self) -> int:
        """Attempts waiting or under way."""
        return len(self._queue) + self._running

    def configure(self, home: str) -> None:
        """`home`: the domain of a recipient that has none (`<postmaster>`, RFC 5321 §4.5.1)."""
        self._home = home

    def feed(self, attempt: Attempt) -> None:
        if not self.held:
            self.pace.begin(self._clock.monotonic())
        self._queue.put(attempt)
        if self._running < CONCURRENT:
            self._running += 1
            self._spawn(self._work(), "delivery.local")

    def take_waiting(self) -> list[Attempt]:
        """Those not yet begun; they are no longer this site's."""
        return self._queue.take_all()

    def shed(self, keep: int) -> list[Attempt]:
        """Those that wait last, so that `keep` remain here; they are no longer this site's."""
        return self._queue.shed(max(keep - self._running, 0))

    def tick(self) -> None:
        """Once a second."""
        self.pace.tick()

    async def _work(self) -> None:
        try:
            while (attempt := self._queue.pop()) is not None:
                attempt.started = self._clock.monotonic()
                expanded = await self.deliver(attempt)
                self.pace.finish()
                self._finished(attempt, expanded)
        finally:
            self._running -= 1

    async def deliver(self, attempt: Attempt) -> list[Recipient]:
        """Decides every recipient of the leg; returns the recipients that aliases were replaced by."""
        recipients = attempt.claim.leg.recipients
        expansion = _Expansion()
        for index, recipient in enumerate(recipients):
            if attempt.outcomes[index] is None:
                attempt.outcomes[index] = await self._try(attempt, recipient, expansion)
        return expansion.recipients

    async def _try(self, attempt: Attempt, recipient: Recipient, expansion: _Expansion) -> Outcome:
        path, letter = recipient.forward_path, attempt.claim.letter
        try:
            return await self._one(attempt, recipient, expansion)
        except DirectoryFailed as error:
            self._faults.known("delivery.directory", error, letter)
            return _delayed(path, "4.3.0", "the directory of accounts could not be asked")
        except MailboxFailed as error:
            self._faults.known("delivery.mailbox", error, letter)
            return _delayed(path, "4.2.0", "the mailbox could not take the message now")
        except SpoolFailed as error:
            self._faults.known("delivery.content", error, letter)
            return _delayed(path, "4.3.0", "the message could not be read from the queue")
        except Exception as error:  # a fault of ours delays, it never loses (invariant 7)
            incident = self._faults.unexpected("delivery.local", error, letter)
            return _delayed(path, "4.3.0", f"internal fault, incident {incident}")

    async def _one(self, attempt: Attempt, recipient: Recipient, expansion: _Expansion) -> Outcome:
        mailbox = self._mailbox(recipient.forward_path)
        entry = self._directory.peek(mailbox) or await self._directory.find(mailbox)
        if entry.standing is Standing.ALIAS and entry.targets:
            return await self._alias(attempt, recipient, mailbox, entry, expansion)
        if entry.standing in (Standing.ACCOUNT, Standing.DISABLED):
            return await self._put(attempt, recipient, mailbox, entry.account, entry.quota)
        path = recipient.forward_path
        return Outcome(path, OutcomeKind.FAILED, 550, "5.1.1", "there is no mailbox of that name here")

    async def _alias(
        self, attempt: Attempt, recipient: Recipient, mailbox: Mailbox, entry: DirectoryEntry, expansion: _Expansion
    ) -> Outcome:
        path = recipient.forward_path
        if recipient.depth >= DEPTH:
            text = f"more than {DEPTH} aliases in a row: they lead in a circle"
            return Outcome(path, OutcomeKind.FAILED, 554, "5.4.6", text)
        own = [target for target in entry.targets if self._mailbox(target).key == mailbox.key]
        if own and (behind := await self._directory.account(mailbox.key)) is not None:
            outcome = await self._put(attempt, recipient, mailbox, mailbox.key, behind.quota)
            if len(own) == len(entry.targets):
                return outcome
        others = [target for target in entry.targets if target not in own]
        if not others:
            return Outcome(path, OutcomeKind.FAILED, 554, "5.4.6", "the alias leads only to itself")
        expansion.add(recipient, [(target, self._mailbox(target)) for target in others])
        status = "2.0.0" if len(entry.targets) == 1 else EXPANDED_TO_SEVERAL
        return Outcome(path, OutcomeKind.EXPANDED, 250, status, "replaced by the targets of an alias")

    async def _put(self, attempt: Attempt, recipient: Recipient, mailbox: Mailbox, account: str, quota: int) -> Outcome:
        """`quota`: the account's own."""
        claim, path, quotas = attempt.claim, recipient.forward_path, self._quotas
        if quotas is not None and mailbox.local_key != "postmaster" and claim.envelope.origin.door != NOTICE_DOOR:
            size = claim.content.size_octets
            room = quotas.peek(account, quota, size) or await quotas.ask(account, quota, size)
            if not room.accepted:
                return Outcome(path, OutcomeKind.DELAYED, 452, "4.2.2", "the mailbox is full")
        head = render_return_path(claim.envelope.reverse_path) + render_delivered_to(path)
        await self._mailboxes.deliver(account, claim.letter, mailbox.key, head, claim.content)
        if quotas is not None:
            await self._warn(quotas, account, quota, claim.letter)
        return Outcome(path, OutcomeKind.DELIVERED, 250, "2.0.0", f"delivered to the mailbox {account}")

    async def _warn(self, quotas: Quotas, account: str, quota: int, letter: LetterId) -> None:
        """The letter is delivered whatever comes of this."""
        try:
            await quotas.delivered(account, quota)
        except (MailboxFailed, SpoolFailed) as error:
            self._faults.known("delivery.quota", error, letter)

    def _mailbox(self, path: str) -> Mailbox:
        mailbox = mailbox_of(path)
        return mailbox if mailbox.domain else Mailbox(mailbox.local_part, self._home)


class _Expansion:
    """What the aliases of one leg are replaced by: each target once. A target that is a recipient of the letter anyway
    is kept: it could be an alias that leads back here, and then nobody would get it. A mailbox makes no second copy."""

    def __init__(self) -> None:
        self.recipients: list[Recipient] = []
        self._seen: set[str] = set()

    def add(self, origin: Recipient, targets: list[tuple[str, Mailbox]]) -> None:
        notify = targets_notify(origin.notify, len(targets))
        for path, mailbox in targets:
            if mailbox.key not in self._seen:
                self._seen.add(mailbox.key)
                self.recipients.append(Recipient(path, notify, origin.orcpt, origin.depth + 1, rule=origin.rule))


def _delayed(path: str, status: str, text: str) -> Outcome:
    return Outcome(path, OutcomeKind.DELAYED, 451, status, text)
