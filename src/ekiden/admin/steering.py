"""Steering the queue, behind every face (CLI, later the console).

Rules
1. Whatever changes something leaves an event that says who did it, also when it fails half-way; a leg that is held
   says it itself.
2. What ends responsibility (remove, bounce) claims legs and goes through `record`, so that it
   happens at the spool's one door and the trail says who did it (invariant 2). A bounce is a failure like delivery's:
   the same report, withheld for the same reasons (invariant 9).
3. Legs that a worker is trying right now are left alone.
4. A million letters are never in memory: PAGE of them are found at a time, and AT_ONCE of those share their commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from ekiden.admin.queue import NoSuchLetter, queued_letter
from ekiden.config.model import Config
from ekiden.delivery.report import FAILED, judge
from ekiden.delivery.report_letter import Stamp, report_letter
from ekiden.message.dsn import ORIGINAL_LIMIT
from ekiden.model.envelope import HELD_BY, Envelope, Leg, NewLeg
from ekiden.model.events import QueueChanged, ReportMade, ReportWithheld
from ekiden.model.ids import IdSequence, first_id, render_id
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.policy.next_hop import NextHops
from ekiden.ports.clock import Clock, Random
from ekiden.ports.events import EventSink
from ekiden.ports.spool import BY_HAND, Claim, QueuedLetter, Record, Selection, Spool, Steer

#: Letters found at a time by what goes letter by letter.
PAGE: Final = 1000
#: Letters under way at a time: enough to share commits, few enough that their content fits into memory.
AT_ONCE: Final = 100
#: What stands for the way that the configuration says, where a way is named.
BACK: Final = "mx"
#: What the sender is told when the postmaster gives no reason.
SENT_BACK: Final = "the postmaster of this server sent the letter back"


class Taken(NamedTuple):
    """`legs`: so many left the queue. `busy`: legs that a worker is trying right now."""

    legs: int
    busy: int


class Reporting(NamedTuple):
    """What reports are made with. `ids`: of the command's own incarnation."""

    config: Config
    random: Random
    ids: IdSequence


class QueueDesk:
    """`by`: who acts, for events and the trail."""

    def __init__(self, spool: Spool, sink: EventSink, clock: Clock, reporting: Reporting, *, by: str) -> None:
        self._spool = spool
        self._sink = sink
        self._clock = clock
        self._config, self._random, self._ids = reporting
        self._next_hops = NextHops(self._config)
        self._by = by

    async def retry(self, selection: Selection) -> int:
        """Makes waiting legs due at once; how many. Raises NoSuchLetter, SpoolFailed, as all here."""
        return await self._apply(selection, Steer.RETRY, due=BY_HAND)

    async def hold(self, selection: Selection, reason: str = "") -> int:
        """Waiting legs wait for a person from now on; how many."""
        return await self._apply(selection, Steer.HOLD, reason)

    async def release(self, selection: Selection) -> int:
        """Makes held legs due at once; how many."""
        return await self._apply(selection, Steer.RELEASE)

    async def reroute(self, selection: Selection, via: str) -> int:
        """Sends waiting and held legs to `via`, a target in its one spelling (`sites.target_of`), or, when it is '',
        the way that the configuration says; how many."""

        def rekey(envelope: Envelope, leg: Leg) -> list[NewLeg]:
            recipients = [msgspec.structs.replace(recipient, via=via) for recipient in leg.recipients]
            return self._next_hops.legs(
                envelope, recipients, flow=leg.flow, priority=leg.priority, attempts=leg.attempts
            )

        await self._must_be_queued(selection)
        changed: list[int] = []
        try:
            return await self._spool.reroute(selection, rekey, now=self._clock.now(), changed=changed.append)
        finally:
            if changed:
                self._tell("reroute", selection, sum(changed), to=via or BACK)

    async def remove(self, selection: Selection) -> Taken:
        """Takes legs out of the queue; nobody gets a report."""

        async def remove(found: QueuedLetter) -> int:
            claims = await self._spool.claim_for_removal(found.letter, selection)
            return sum([await self._spool.record(self._removal(claim)) for claim in claims])

        return await self._take(selection, "remove", remove)

    async def bounce(self, selection: Selection, reason: str = "") -> Taken:
        """Takes legs out of the queue as failed; their senders get the report. `reason`: for the sender to read."""

        async def bounce(found: QueuedLetter) -> int:
            original = await self._original(found)  # what may fail comes before the claim
            claims = await self._spool.claim_for_removal(found.letter, selection)
            return sum([await self._fail(claim, original, reason) for claim in claims])

        return await self._take(selection, "bounce", bounce, reason)

    # -- what is steered in place ------------------------------------------------------------------------------------

    async def _apply(self, selection: Selection, steer: Steer, reason: str = "", due: float | None = None) -> int:
        """`due`: None: now."""
        await self._must_be_queued(selection)
        changed: list[int] = []
        why = f"{HELD_BY}{self._by}: {reason}" if reason else f"{HELD_BY}{self._by}"
        try:
            now = self._clock.now() if due is None else due
            return await self._spool.apply(selection, steer, now=now, reason=why, changed=changed.append)
        finally:
            if changed:
                self._tell(steer.value, selection, sum(changed), reason)

    # -- what leaves -------------------------------------------------------------------------------------------------

    async def _take(
        self, selection: Selection, action: str, take: Callable[[QueuedLetter], Awaitable[int]], reason: str = ""
    ) -> Taken:
        await self._must_be_queued(selection)
        pages = msgspec.structs.replace(selection, limit=PAGE)
        begun = first_id(self._clock.now())
        meant = taken = 0
        try:
            while page := await self._spool.find(pages):
                pages.after = page[-1].letter
                # a report that was made meanwhile, perhaps here, must not be sent the same way
                letters = [found for found in page if not (found.envelope.is_report and found.letter >= begun)]
                for start in range(0, len(letters), AT_ONCE):
                    part = letters[start : start + AT_ONCE]
                    done = await asyncio.gather(*map(take, part), return_exceptions=True)
                    meant += sum(len(found.legs) for found in part)
                    taken += sum(number for number in done if isinstance(number, int))
                    for error in done:
                        if isinstance(error, BaseException):
                            raise error
        finally:
            if taken:
                self._tell(action, selection, taken, reason)
        return Taken(taken, max(meant - taken, 0))

    def _removal(self, claim: Claim) -> Record:
        text = f"removed by {self._by}"
        return Record(
            claim=claim,
            outcomes=[Outcome(r.forward_path, OutcomeKind.REMOVED, text=text) for r in claim.leg.recipients],
            counts=False,
        )

    async def _original(self, found: QueuedLetter) -> bytes:
        """As much of the letter as a report may need; b'' if it has just gone."""
        content = await self._spool.content(found.letter)
        return b"" if content is None else await content.head(max(ORIGINAL_LIMIT, found.envelope.header_octets))

    async def _fail(self, claim: Claim, original: bytes, reason: str) -> bool:
        """The trail says who did it; the sender is told what the postmaster has to say."""
        recipients = claim.leg.recipients
        told = [Outcome(r.forward_path, OutcomeKind.FAILED, 554, "5.0.0", reason or SENT_BACK) for r in recipients]
        verdicts = judge(claim.envelope, recipients, told, late=False)
        by = f"bounced by {self._by}"
        kept = [msgspec.structs.replace(o, text=f"{by}: {reason}" if reason else by) for o in told]
        record = Record(claim=claim, outcomes=kept, counts=False)
        if about := verdicts.reports.get(FAILED):
            now = self._clock.now()
            stamp = Stamp(self._ids.next(now), now, self._random.token(16).hex())
            subject = claim.letter, claim.envelope
            record.reports.append(report_letter(subject, FAILED, about, original, stamp, self._config, self._next_hops))
        if not await self._spool.record(record):
            return False
        letter = render_id(claim.letter)
        for path, why in verdicts.withheld:
            self._sink.emit(ReportWithheld(letter=letter, forward_path=path, reason=why))
        for report in record.reports:
            to = claim.envelope.reverse_path
            self._sink.emit(ReportMade(letter=letter, report=render_id(report.letter), kind=FAILED, to=to))
        return True

    # -- telling -----------------------------------------------------------------------------------------------------

    async def _must_be_queued(self, selection: Selection) -> None:
        letter = selection.letter
        if letter is not None and await queued_letter(self._spool, letter) is None:
            raise NoSuchLetter(f"no letter {render_id(letter)} is queued; `ekiden queue list` shows those that are")

    def _tell(self, action: str, selection: Selection, legs: int, reason: str = "", to: str = "") -> None:
        letter, means = selection.letter, describe(selection)
        shown = "all" if letter is None else render_id(letter)
        self._sink.emit(
            QueueChanged(action=action, letter=shown, by=self._by, legs=legs, selection=means, reason=reason, to=to)
        )


def describe(selection: Selection) -> str:
    """The conditions besides the letter, such as `domain=far.test state=held`."""
    return " ".join(
        f"{name}={value}"
        for name in (
            "next_hop",
            "domain",
            "sender",
            "account",
            "state",
            "error",
            "arrived_before",
            "arrived_after",
            "hold",
        )
        if (value := getattr(selection, name)) not in ("", None)
    )
