"""Notices to people here: the one way in which the server itself writes to the postmaster or the owner of an account.

    await notices.tell(Notice("quota", "Your mailbox is nearly full", text, to="you@example.test"), every=DAY)

Rules
1. A notice is a letter like any other: durable when `tell` returns, delivered, retried and shown by `ekiden queue` and
   `ekiden trace`; from the null reverse-path, so that nobody gets a report about it. Its door is `notice`.
2. `every`: at most one of a kind and `about` within so many seconds, over all workers and restarts.
3. The postmaster is `<postmaster>`: an account or alias `postmaster`, `postmaster` of the configuration, the catch-all,
   else the oldest account (`ports.directory`).

Called by every guard that has something to say. Grade B.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ekiden.config.model import Config
from ekiden.message.notice import Notice, build_notice
from ekiden.model.envelope import Envelope, Origin, Recipient
from ekiden.model.events import NoticeSent
from ekiden.model.ids import render_id
from ekiden.policy.next_hop import NextHops
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.notice_book import NoticeBook
from ekiden.ports.spool import Spool, SpoolFailed

#: The flow of notices, for fairness within the local next hop.
NOTICE_FLOW: Final = "notices"
#: Whom '' means (RFC 5321 §4.5.1).
POSTMASTER: Final = "postmaster"
DAY: Final = 86_400.0


class Notices:
    """`nudge`: called when a notice is due in the store (`Window.nudge`)."""

    def __init__(
        self, spool: Spool, book: NoticeBook, clock: Clock, events: EventSink, nudge: Callable[[], None]
    ) -> None:
        self._spool = spool
        self._book = book
        self._clock = clock
        self._events = events
        self._nudge = nudge

    def configure(self, config: Config) -> None:
        """Before the first notice, and at every reload."""
        self._hostname = config.hostname
        self._next_hops = NextHops(config)
        self._shown = f"{POSTMASTER}@{config.domain[0].name if config.domain else config.hostname}"

    async def tell(self, notice: Notice, *, every: float = 0.0) -> bool:
        """False: it was told within the last `every` seconds. Raises SpoolFailed; then it is as if nobody had tried."""
        now = self._clock.now()
        if every and not await self._book.take(notice.kind, notice.about, now, every):
            return False
        try:
            await self._send(notice, now)
        except SpoolFailed:
            if every:
                await self._book.give_back(notice.kind, notice.about)
            raise
        return True

    async def _send(self, notice: Notice, now: float) -> None:
        draft = self._spool.begin()
        try:
            letter = render_id(draft.letter)
            message_id = f"<{letter}@{self._hostname}>"
            shown = notice.to or self._shown
            content = build_notice(notice, hostname=self._hostname, to=shown, message_id=message_id, now=now)
            draft.write(content)
            envelope = Envelope(
                "",
                now,
                Origin(door="notice", protocol=""),
                size_octets=len(content),
                header_octets=content.index(b"\r\n\r\n") + 4,
                message_id=message_id,
                is_report=True,
            )
            legs = self._next_hops.legs(envelope, [Recipient(notice.to or POSTMASTER)], flow=NOTICE_FLOW)
            await self._spool.accept(draft, envelope, legs, claim=False)
        finally:
            draft.discard()
        self._nudge()
        self._events.emit(NoticeSent(letter=letter, kind=notice.kind, to=shown, about=notice.about))
