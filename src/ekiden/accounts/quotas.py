"""Quotas of mailboxes and domains, as doors and local delivery ask them. One a worker, for life.

Rules
1. Where there is no quota nothing is asked. Else an answer is from memory (`peek`), or `ask` gets it.
2. Before a mailbox is called full it is counted anew, at most every `RECOUNT` seconds: another program may have emptied
   it.
3. Usage that cannot be read is no reason to refuse.
4. What is under way when a mailbox becomes full is delivered still: a few seconds' letters of each worker.

`policy.quota` decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from ekiden.config.model import Domain
from ekiden.message.notice import Notice
from ekiden.model.decision import Decision
from ekiden.model.events import QuotaFull, QuotaNear
from ekiden.model.mailbox import domain_key
from ekiden.policy.quota import ROOM, fits, full, is_near, is_relaxed, mailbox_quota, near_notice
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.ports.usage import MailboxUsage, Usage

RECOUNT: Final = 900.0
#: `quota.full` is told once in so many seconds for each.
TOLD: Final = 3600.0
#: Names whose last counts are remembered.
MEMORY: Final = 16_384


#: Sends it.
Warn = Callable[[Notice], Awaitable[object]]


class Quotas:
    def __init__(self, usage: MailboxUsage, clock: Clock, events: EventSink, warn: Warn) -> None:
        self._usage = usage
        self._clock = clock
        self._events = events
        self._warn = warn
        self._domains: dict[str, Domain] = {}
        self._recounted: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def configure(self, domains: Iterable[Domain]) -> None:
        self._domains = {domain_key(domain.name): domain for domain in domains}

    def peek(self, account: str, own: int, size: int) -> Decision | None:
        """Whether a letter of `size` octets (0: unknown) fits; `own`: the account's quota. None: `ask`."""
        for name, quota in self._quotas(account, own):
            usage = self._usage.peek(name)
            if usage is None:
                return None
            if not fits(usage.octets, size, quota):
                return self._full(name, usage, quota) if self._is_recent(name) else None
        return ROOM

    async def ask(self, account: str, own: int, size: int) -> Decision:
        try:
            for name, quota in self._quotas(account, own):
                usage = await self._usage.find(name)
                if not fits(usage.octets, size, quota) and not self._is_recent(name):
                    usage = await self._usage.recount(name)
                    self._remember(self._recounted, name)
                if not fits(usage.octets, size, quota):
                    return self._full(name, usage, quota)
        except MailboxFailed:  # rule 3
            return ROOM
        return ROOM

    async def delivered(self, account: str, own: int) -> None:
        """After a delivery: warns if it is time to, and takes the warning back if there is room again. Raises what
        `warn` raises, and MailboxFailed."""
        for name, quota in self._quotas(account, own):
            usage = self._usage.peek(name) or await self._usage.find(name)
            if is_near(usage.octets, quota) and not usage.marked:
                if await self._usage.mark(name):
                    self._events.emit(QuotaNear(name=name, octets=usage.octets, quota=quota))
                    try:
                        await self._warn(near_notice(name, usage.octets, quota))
                    except Exception:
                        await self._usage.unmark(name)  # the next letter tries again
                        raise
            elif usage.marked and is_relaxed(usage.octets, quota):
                await self._usage.unmark(name)

    def _quotas(self, account: str, own: int) -> Iterator[tuple[str, int]]:
        """Those that there are: of the mailbox, of its domain."""
        key = account.rpartition("@")[2]
        domain = self._domains.get(key)
        if quota := mailbox_quota(own, domain):
            yield account, quota
        if domain is not None and domain.quota:
            yield f"@{key}", domain.quota

    def _is_recent(self, name: str) -> bool:
        return self._clock.monotonic() - self._recounted.get(name, -RECOUNT) < RECOUNT

    def _full(self, name: str, usage: Usage, quota: int) -> Decision:
        if self._clock.monotonic() - self._told.get(name, -TOLD) >= TOLD:
            self._remember(self._told, name)
            self._events.emit(QuotaFull(name=name, octets=usage.octets, quota=quota))
        return full(name, usage.octets, quota)

    def _remember(self, memory: dict[str, float], name: str) -> None:
        memory.pop(name, None)
        if len(memory) >= MEMORY:
            del memory[next(iter(memory))]
        memory[name] = self._clock.monotonic()
