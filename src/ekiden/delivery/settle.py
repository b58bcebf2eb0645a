"""Settling: what an attempt came to goes into the store, with everything that follows from it.

Rules
1. `record` is one transaction (invariant 2): outcomes, when to try again, reports and expansions stand or fall
   together. Nobody awaits it a letter (DESIGN §4 rule 6); the claim is ours, and counts in the window, until then.
2. A store that fails is asked again after `PAUSE` until it can: the outcome is known, and trying the letter again
   instead would make a second copy. A claim that was lost changes nothing: somebody else tries the letter.
3. Delayed is tried again by `policy.retry`; past its time it has failed (4.4.7). What a barred site gives back was no
   attempt, but it expires and is reported in time like all others.
4. Who is told is decided in `report`; what he is told is built by `message.dsn`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from ekiden.config.model import Config
from ekiden.delivery import report
from ekiden.delivery.attempt import Attempt
from ekiden.delivery.barrier import NotNow
from ekiden.delivery.faults import Faults
from ekiden.delivery.report_letter import Stamp, report_letter
from ekiden.delivery.tools import Tools
from ekiden.message.dsn import ORIGINAL_LIMIT
from ekiden.message.notice import Notice
from ekiden.message.road_notice import sender_refused_notice
from ekiden.model.envelope import LOCAL, Recipient
from ekiden.model.events import (
    AttemptFinished,
    AttemptSkipped,
    DetourRefused,
    PossibleDuplicate,
    ReportMade,
    ReportWithheld,
)
from ekiden.model.ids import render_id
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.policy import retry
from ekiden.policy.next_hop import NextHops
from ekiden.policy.retry import RetrySchedule
from ekiden.ports.spool import Claim, Record, Report, SpoolFailed

#: At most one notice of a refused sender in so many seconds.
DAY: Final = 86_400.0
#: How long a store that failed is left alone before it is asked again, in seconds.
PAUSE: Final = 5.0

Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class _Unsettled:
    """A record on its way into the store, and what is said when it has arrived."""

    __slots__ = ("kinds", "record", "withheld")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.kinds: list[str] = []
        self.withheld: list[tuple[str, str]] = []


class Settler:
    """`schedule_of`: the retry schedule of a next hop, if it has one of its own. `on_due`: called when legs became due
    at once (reports, expansions). `on_settled`: claims left the window."""

    def __init__(
        self,
        tools: Tools,
        faults: Faults,
        *,
        spawn: Spawn,
        schedule_of: Callable[[str], RetrySchedule | None],
        on_due: Callable[[], None],
        on_settled: Callable[[], None],
    ) -> None:
        self._spool = tools.spool
        self._window = tools.window
        self._events = tools.events
        self._clock = tools.clock
        self._random = tools.random
        self._ids = tools.ids
        self._faults = faults
        self._notices = tools.notices
        self._spawn = spawn
        self._schedule_of = schedule_of
        self._on_due = on_due
        self._on_settled = on_settled
        self._again: list[tuple[float, Callable[[], None]]] = []
        self.lost_claims = 0

    def configure(self, config: Config, next_hops: NextHops) -> None:
        """Before the first attempt, and at every reload."""
        self._config = config
        self._next_hops = next_hops

    # -- attempts ----------------------------------------------------------------------------------------------------

    def settle(
        self, attempt: Attempt, expanded: Sequence[Recipient] = (), *, uncounted_until: float | None = None
    ) -> None:
        """Every recipient is decided. `expanded`: recipients that take the place of those that were expanded.
        `uncounted_until`: nothing was tried; what is delayed is due then (seconds since 1970)."""
        claim, now = attempt.claim, self._clock.now()
        delivery = self._config.delivery
        arrived = claim.envelope.arrived
        outcomes = [outcome for outcome in attempt.outcomes if outcome is not None]
        recipients = claim.leg.recipients
        assert len(outcomes) == len(recipients), "an attempt was settled before everybody was decided"
        delayed = any(outcome.kind is OutcomeKind.DELAYED for outcome in outcomes)
        if delayed and not attempt.hold_reason and retry.is_expired(arrived, now, delivery):
            outcomes = [_expired(outcome) for outcome in outcomes]
            delayed = False
        unsettled = _Unsettled(Record(claim, outcomes, remote=attempt.remote))
        if expanded:
            leg = claim.leg
            made = 0 if leg.next_hop == LOCAL else leg.attempts  # an alias's targets were never tried
            unsettled.record.expanded = self._next_hops.legs(
                claim.envelope, expanded, flow=leg.flow, priority=leg.priority, attempts=made
            )
        verdicts = None
        late = delayed and retry.delay_report_due(arrived, now, delivery)
        if report.needs_judgement(recipients, outcomes, late=late):
            verdicts = report.judge(claim.envelope, recipients, outcomes, late=late)
            unsettled.withheld = verdicts.withheld
        if delayed:
            unsettled.record.counts = uncounted_until is None
            unsettled.record.next_attempt = uncounted_until or self._next_attempt(claim, now)
            remaining = _remaining(recipients, outcomes, late=late)
            unsettled.record.remaining = remaining
            unsettled.record.hold_reason = attempt.hold_reason
            keys = self._next_hops.keys_for(claim.envelope, remaining, claim.leg.attempts + unsettled.record.counts)
            if len(keys) == 1:  # the store passes next hops over, so it must know the one that is meant now
                unsettled.record.next_hop = keys.pop()
        if uncounted_until is None:
            self._tell(attempt, unsettled.record)
        else:
            self._tell_skipped(unsettled.record)
        if verdicts is not None and verdicts.reports:
            self._spawn(self._add_reports(unsettled, verdicts.reports), "delivery.report")
        else:
            self._record(unsettled)

    def _next_attempt(self, claim: Claim, now: float) -> float:
        leg = claim.leg
        return retry.next_attempt(
            claim.envelope.arrived,
            now,
            leg.attempts + 1,
            self._config.delivery,
            self._random.uniform(-1, 1),
            schedule=self._schedule_of(leg.next_hop),
        )

    def put_back(self, attempts: Sequence[Attempt], due: float, reason: NotNow) -> None:
        """Attempts that were not made, because of `reason`. Those whose sender must be told by now are recorded
        (uncounted), so that a site which is down for days does not keep him waiting; the others are released. One that
        was made in part is an attempt: what is known of it holds."""
        on_time: list[Claim] = []
        for attempt in attempts:
            if not attempt.is_untouched:
                attempt.decide_rest(OutcomeKind.DELAYED, 451, reason.status, reason.text)
                self.settle(attempt)
            elif self.is_overdue(attempt):
                attempt.decide_rest(OutcomeKind.DELAYED, 451, reason.status, reason.text)
                self.settle(attempt, uncounted_until=due)
            else:
                on_time.append(attempt.claim)
        self.give_back(on_time, due)

    def is_overdue(self, attempt: Attempt) -> bool:
        """Untouched, and its sender must be told by now: of the delay, or that its time is over."""
        now, delivery = self._clock.now(), self._config.delivery
        arrived = attempt.claim.envelope.arrived
        if not retry.delay_report_due(arrived, now, delivery) or not attempt.is_untouched:
            return False
        told = all(recipient.delay_reported for recipient in attempt.claim.leg.recipients)
        return not told or retry.is_expired(arrived, now, delivery)

    def give_back(self, claims: Sequence[Claim], due: float) -> None:
        """Claims that were not attempted. `due`: seconds since 1970."""
        if claims:
            self._send(partial(self._spool.release, claims, due), partial(self._released, claims))

    def tick(self, now: float) -> None:
        """Asks a store again that failed before. `now`: monotonic."""
        if self._again:
            due = [call for when, call in self._again if when <= now]
            self._again = [entry for entry in self._again if entry[0] > now]
            for call in due:
                call()

    # -- reports -----------------------------------------------------------------------------------------------------

    async def _add_reports(self, unsettled: _Unsettled, wanted: dict[str, list[tuple[Recipient, Outcome]]]) -> None:
        """A report that cannot be built must not hold the outcome back: then it is withheld, with an event."""
        claim = unsettled.record.claim
        try:
            original = await claim.content.head(max(ORIGINAL_LIMIT, claim.envelope.header_octets))
            for kind, about in wanted.items():
                unsettled.record.reports.append(self._report(claim, kind, about, original))
                unsettled.kinds.append(kind)
        except SpoolFailed as error:
            self._faults.known("delivery.report", error, claim.letter)
            self._later(partial(self._spawn_reports, unsettled, wanted))
            return
        except Exception as error:  # see above
            incident = self._faults.unexpected("delivery.report", error, claim.letter)
            for kind in wanted.keys() - set(unsettled.kinds):
                unsettled.withheld += [
                    (r.forward_path, f"internal fault, incident {incident}") for r, _ in wanted[kind]
                ]
        self._record(unsettled)

    def _spawn_reports(self, unsettled: _Unsettled, wanted: dict[str, list[tuple[Recipient, Outcome]]]) -> None:
        unsettled.record.reports.clear()
        unsettled.kinds.clear()
        self._spawn(self._add_reports(unsettled, wanted), "delivery.report")

    def _report(self, claim: Claim, kind: str, about: list[tuple[Recipient, Outcome]], original: bytes) -> Report:
        now = self._clock.now()
        stamp = Stamp(self._ids.next(now), now, self._random.token(16).hex())
        subject = claim.letter, claim.envelope
        return report_letter(subject, kind, about, original, stamp, self._config, self._next_hops)

    # -- the store ---------------------------------------------------------------------------------------------------

    def _record(self, unsettled: _Unsettled) -> None:
        self._send(partial(self._spool.record, unsettled.record), partial(self._recorded, unsettled))

    def _send(self, call: Callable[[], Awaitable[Any]], done: Callable[[Any], None]) -> None:
        """Calls the store; `done` with its answer, or the same call later."""
        try:
            future = asyncio.ensure_future(call())
        except Exception as error:
            self._failed(error, call, done)
            return
        future.add_done_callback(partial(self._answered, call, done))

    def _answered(
        self, call: Callable[[], Awaitable[Any]], done: Callable[[Any], None], future: asyncio.Future[Any]
    ) -> None:
        if future.cancelled():
            return  # the loop is ending: the claim is freed with our incarnation
        error = future.exception()
        if error is None:
            done(future.result())
        else:
            self._failed(error, call, done)

    def _failed(self, error: BaseException, call: Callable[[], Awaitable[Any]], done: Callable[[Any], None]) -> None:
        if isinstance(error, SpoolFailed):
            self._faults.known("delivery.store", error)
        else:
            self._faults.unexpected("delivery.store", error)
        self._later(partial(self._send, call, done))

    def _later(self, call: Callable[[], None]) -> None:
        self._again.append((self._clock.monotonic() + PAUSE, call))

    def _recorded(self, unsettled: _Unsettled, kept: bool) -> None:  # noqa: FBT001 - a callback with one fact
        record = unsettled.record
        self._window.done(record.claim)
        if kept:
            self._tell_reports(unsettled)
            if record.reports or record.expanded:
                self._on_due()
        else:
            self.lost_claims += 1
        self._on_settled()

    def _released(self, claims: Sequence[Claim], _: None) -> None:
        for claim in claims:
            self._window.done(claim)
        self._on_settled()

    # -- events ------------------------------------------------------------------------------------------------------

    def _tell(self, attempt: Attempt, record: Record) -> None:
        claim = attempt.claim
        counts: dict[str, int] = {}
        worst = record.outcomes[0]
        unanswered = 0
        for outcome in record.outcomes:
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
            if outcome.code > worst.code:
                worst = outcome
            if outcome.possible_duplicate:
                unanswered += 1
        self._events.emit(
            AttemptFinished(
                letter=render_id(claim.letter),
                leg=claim.leg.number,
                attempt=claim.leg.attempts + 1,
                next_hop=claim.leg.next_hop,
                remote=attempt.where or attempt.remote,
                tls=attempt.tls,
                outcomes=counts,
                reply=worst.summary,
                next_attempt=0.0 if record.hold_reason else record.next_attempt or 0.0,
                seconds=round(self._clock.monotonic() - attempt.started, 6) if attempt.started else 0.0,
                account=claim.envelope.origin.account if OutcomeKind.FAILED in counts else "",
            )
        )

        if unanswered:
            self._tell_unanswered(attempt, unanswered, worst.text)
        if record.hold_reason:
            self._tell_held(attempt, record)

    def _tell_held(self, attempt: Attempt, record: Record) -> None:
        """A detour's server refused the sender."""
        claim, reply = attempt.claim, next(o.text for o in record.outcomes if o.kind is OutcomeKind.DELAYED)
        letter, sender = render_id(claim.letter), claim.envelope.reverse_path
        remote = attempt.where or attempt.remote
        self._events.emit(DetourRefused(letter=letter, reverse_path=sender, remote=remote, reply=reply))
        self._spawn(self._notify(sender_refused_notice(letter, sender, attempt.remote, reply)), "delivery.notice")

    async def _notify(self, notice: Notice) -> None:
        """A notice that cannot be stored now is not: the letter is held, and the event was told."""
        if self._notices is None:
            return
        try:
            await self._notices.tell(notice, every=DAY)
        except SpoolFailed as error:
            self._faults.known("delivery.notice", error)

    def _tell_skipped(self, record: Record) -> None:
        claim = record.claim
        self._events.emit(
            AttemptSkipped(
                letter=render_id(claim.letter),
                leg=claim.leg.number,
                next_hop=claim.leg.next_hop,
                outcomes=dict(Counter(outcome.kind for outcome in record.outcomes)),
                reason=record.outcomes[0].summary,
                next_attempt=record.next_attempt or 0.0,
            )
        )

    def _tell_unanswered(self, attempt: Attempt, recipients: int, reason: str) -> None:
        claim = attempt.claim
        self._events.emit(
            PossibleDuplicate(
                letter=render_id(claim.letter),
                leg=claim.leg.number,
                attempt=claim.leg.attempts + 1,
                next_hop=claim.leg.next_hop,
                remote=attempt.where or attempt.remote,
                recipients=recipients,
                reason=reason,
            )
        )

    def _tell_reports(self, unsettled: _Unsettled) -> None:
        record = unsettled.record
        if not (unsettled.withheld or unsettled.kinds):
            return
        letter = render_id(record.claim.letter)
        for path, reason in unsettled.withheld:
            self._events.emit(ReportWithheld(letter=letter, forward_path=path, reason=reason))
        to = record.claim.envelope.reverse_path
        for kind, made in zip(unsettled.kinds, record.reports, strict=True):
            self._events.emit(ReportMade(letter=letter, report=render_id(made.letter), kind=kind, to=to))


def _expired(outcome: Outcome) -> Outcome:
    if outcome.kind is not OutcomeKind.DELAYED:
        return outcome
    said = f", of {outcome.remote}," if outcome.remote else ""
    text = f"delivery time expired; the last answer{said} was: {outcome.summary}"
    return msgspec.structs.replace(outcome, kind=OutcomeKind.FAILED, status="4.4.7", text=text, remote="")


def _remaining(recipients: Sequence[Recipient], outcomes: Sequence[Outcome], *, late: bool) -> list[Recipient]:
    """`late`: who wants to be told of the delay is told now; of the others nobody need ask again."""
    return [
        msgspec.structs.replace(
            recipient,
            last_error=outcome.summary,
            delay_reported=recipient.delay_reported or late,
            possible_duplicates=recipient.possible_duplicates + outcome.possible_duplicate,
        )
        for recipient, outcome in zip(recipients, outcomes, strict=True)
        if outcome.kind is OutcomeKind.DELAYED
    ]
