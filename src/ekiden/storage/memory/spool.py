"""The spool in memory: for tests, for trying things out, and as the plainest statement of the contract.

Rules
1. It keeps everything of the contract in `ports.spool` but survival of the process. Reading works after `close`.
2. Several spools on one store are several processes' views: `MemorySpool(clock, incarnation=2, shared=first)`.
3. For tests: `fail_next(verb, error)` makes the next call of a verb fail (begin, write, accept, claim, next_due,
   record, release, free_claims, find, content, apply, claim_for_removal, trail, letters_with_message_id, counts,
   shape, reroute, waiting, suspend_site, resume_site, suspensions, claim_overdue, tell_sites, site_statuses); between
   `pause()` and `resume()` accept, record and release stay unanswered, as while a commit runs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import msgspec

from ekiden.model.envelope import Envelope, Leg, LegState, NewLeg, Recipient
from ekiden.model.ids import IdSequence, Incarnation, LetterId, first_id
from ekiden.ports.clock import Clock
from ekiden.ports.spool import (
    Claim,
    Content,
    Draft,
    Overdue,
    QueuedLetter,
    Record,
    Rekey,
    Selection,
    SiteStatus,
    SpoolFailed,
    Steer,
    Suspension,
    TrailEntry,
)
from ekiden.storage.duty import UNTOLD, check_legs, check_record, check_rekeyed, message_id_key, trail_entry
from ekiden.storage.memory.content import MemoryContent, MemoryDraft
from ekiden.storage.memory.turns import Turns
from ekiden.storage.selection import means_leg, means_letter, steered

T = TypeVar("T")


class _Stored:
    """A leg with its owner. `claimed_by`: None unless `leg.state` is CLAIMED."""

    __slots__ = ("claimed_by", "leg")

    def __init__(self, leg: Leg, claimed_by: Incarnation | None) -> None:
        self.leg = leg
        self.claimed_by = claimed_by

    def wait_until(self, when: float) -> None:
        """Or held, if it was held before it was claimed for removal."""
        self.claimed_by = None
        is_held = bool(self.leg.hold_reason)
        self.leg.state = LegState.HELD if is_held else LegState.WAITING
        self.leg.next_attempt = None if is_held else when

    def give(self, incarnation: Incarnation) -> None:
        self.claimed_by = incarnation
        self.leg.state, self.leg.next_attempt = LegState.CLAIMED, None

    def hold(self, reason: str) -> None:
        self.leg.state, self.leg.next_attempt, self.leg.hold_reason = LegState.HELD, None, reason or UNTOLD


class _Letter:
    __slots__ = ("content", "envelope", "legs", "next_number")

    def __init__(self, envelope: Envelope, content: MemoryContent) -> None:
        self.envelope = envelope
        self.content = content
        self.legs: dict[int, _Stored] = {}
        self.next_number = 0

    def add(self, letter: LetterId, new: NewLeg, due: float, owner: Incarnation | None) -> Leg:
        leg = Leg(
            letter=letter,
            number=self.next_number,
            next_hop=new.next_hop,
            recipients=_copies(new.recipients),
            flow=new.flow,
            priority=new.priority,
            attempts=new.attempts,
            next_attempt=due,
        )
        self.next_number += 1
        stored = self.legs[leg.number] = _Stored(leg, None)
        if owner is not None:
            stored.give(owner)
        return leg


class _Store:
    """What all views share."""

    def __init__(self) -> None:
        self.letters: dict[LetterId, _Letter] = {}
        self.trail: list[TrailEntry] = []
        self.alive: set[Incarnation] = set()
        self.suspensions: dict[str, Suspension] = {}
        self.sites: dict[tuple[str, Incarnation], SiteStatus] = {}


class MemorySpool:
    """`ports.spool.Spool`. `shared`: another spool whose store this one looks at, as another process would."""

    def __init__(self, clock: Clock, incarnation: int = 1, *, shared: MemorySpool | None = None) -> None:
        self._clock = clock
        self._store: _Store = shared._store if shared else _Store()
        self._incarnation = Incarnation(incarnation)
        self._ids = IdSequence(incarnation)
        self._faults: dict[str, list[Exception]] = {}
        self._turns = Turns()
        self._paused = False
        self._closed = False
        self._waiting: deque[Callable[[], None]] = deque()
        self._store.alive.add(self._incarnation)

    # For tests -----------------------------------------------------------------------------------------------------

    def fail_next(self, verb: str, error: Exception) -> None:
        """The next call of `verb` raises `error` and changes nothing; several calls queue up."""
        self._faults.setdefault(verb, []).append(error)

    def pause(self) -> None:
        """accept, record and release are taken but not answered, until `resume`."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        while self._waiting:
            self._waiting.popleft()()

    def die(self) -> None:
        """As if the process were killed: its claims stay until somebody frees them."""
        self._store.alive.discard(self._incarnation)

    # The contract --------------------------------------------------------------------------------------------------

    @property
    def incarnation(self) -> Incarnation:
        return self._incarnation

    def begin(self) -> Draft:
        self._guard("begin")
        if self._closed:
            raise SpoolFailed("the spool is closed")
        return MemoryDraft(LetterId(self._ids.next(self._clock.now())), self._guard)

    def accept(
        self, draft: Draft, envelope: Envelope, legs: Sequence[NewLeg], *, claim: bool
    ) -> Awaitable[list[Claim]]:
        check_legs(legs)
        assert isinstance(draft, MemoryDraft)
        return self._verb("accept", lambda: self._accept(draft, envelope, legs, claim=claim), failed=draft.discard)

    def _accept(self, draft: MemoryDraft, envelope: Envelope, legs: Sequence[NewLeg], *, claim: bool) -> list[Claim]:
        if draft.discarded:
            raise ValueError("the draft was accepted or discarded before")
        letter = _Letter(envelope, MemoryContent(draft.octets()))
        reason = legs[0].hold_reason
        claim = claim and not reason
        owner = self._incarnation if claim else None
        now = self._clock.now()
        made = [letter.add(draft.letter, leg, now, owner) for leg in legs]
        if reason:
            for stored in letter.legs.values():
                stored.hold(reason)
        self._store.letters[draft.letter] = letter
        draft.discard()
        return [Claim(draft.letter, envelope, _copy(leg), letter.content) for leg in made] if claim else []

    async def claim(self, now: float, limit: int, *, avoid: Collection[str] = ()) -> list[Claim]:
        self._guard("claim")
        stored = [stored for letter in self._store.letters.values() for stored in letter.legs.values()]
        due = {(s.leg.letter, s.leg.number): s for s in stored if _is_due(s.leg, now) and s.leg.next_hop not in avoid}
        legs = self._turns.choose([one.leg for one in due.values()], limit)
        return [self._give(due[leg.letter, leg.number]) for leg in legs]

    async def claim_overdue(self, overdue: Overdue) -> tuple[list[Claim], tuple[int, int] | None]:
        self._guard("claim_overdue")
        late, expired = first_id(overdue.late), first_id(overdue.expired)
        claims: list[Claim] = []
        for number in sorted(self._store.letters):
            for _, stored in sorted(self._store.letters[number].legs.items()):
                leg, due = stored.leg, stored.leg.next_attempt
                if (number, leg.number) <= (overdue.after or (-1, -1)) or leg.next_hop not in overdue.next_hops:
                    continue
                untold = not all(recipient.delay_reported for recipient in leg.recipients)
                if due is not None and (number < expired or (number < late and untold)):
                    claims.append(self._give(stored))
                    claims[-1].leg.next_attempt = due
                    if len(claims) == overdue.limit:
                        return claims, (number, leg.number)
        return claims, None

    async def next_due(self, avoid: Collection[str] = ()) -> float | None:
        self._guard("next_due")
        legs = (stored.leg for letter in self._store.letters.values() for stored in letter.legs.values())
        times = (leg.next_attempt for leg in legs if leg.next_hop not in avoid)
        return min((time for time in times if time is not None), default=None)

    def record(self, record: Record) -> Awaitable[bool]:
        check_record(record)
        for report in record.reports:
            report.letter = LetterId(self._ids.next(self._clock.now()))
        return self._verb("record", lambda: self._record(record))

    def _record(self, record: Record) -> bool:
        claim = record.claim
        letter = self._store.letters.get(claim.letter)
        stored = letter.legs.get(claim.leg.number) if letter else None
        if letter is None or stored is None or stored.claimed_by != self._incarnation:
            return False
        now = self._clock.now()
        if record.outcomes:
            self._store.trail.append(trail_entry(record, now, [int(report.letter) for report in record.reports]))
        if record.remaining:
            assert record.next_attempt is not None
            stored.leg.recipients = _copies(record.remaining)
            stored.leg.attempts += record.counts
            stored.leg.next_hop = record.next_hop or stored.leg.next_hop
            if record.hold_reason:
                stored.claimed_by = None
                stored.hold(record.hold_reason)
            else:
                stored.wait_until(record.next_attempt)
        else:
            del letter.legs[claim.leg.number]
        for leg in record.expanded:
            letter.add(claim.letter, leg, now, None)
        if not letter.legs:
            del self._store.letters[claim.letter]
        for report in record.reports:
            made = self._store.letters[report.letter] = _Letter(report.envelope, MemoryContent(report.content))
            for leg in report.legs:
                made.add(report.letter, leg, now, None)
        return True

    def release(self, claims: Sequence[Claim], next_attempt: float) -> Awaitable[None]:
        return self._verb("release", lambda: self._release(list(claims), next_attempt))

    def _release(self, claims: list[Claim], next_attempt: float) -> None:
        for claim in claims:
            letter = self._store.letters.get(claim.letter)
            stored = letter.legs.get(claim.leg.number) if letter else None
            if stored and stored.claimed_by == self._incarnation:
                stored.wait_until(next_attempt)

    async def free_claims(self, incarnation: Incarnation) -> int:
        self._guard("free_claims")
        return 0 if incarnation in self._store.alive else self._free(incarnation)

    async def find(self, selection: Selection) -> list[QueuedLetter]:
        self._guard("find")
        found = []
        for number in sorted(self._store.letters):
            letter = self._store.letters[number]
            if not means_letter(selection, number, letter.envelope):
                continue
            legs = [_copy(s.leg) for _, s in sorted(letter.legs.items()) if means_leg(selection, s.leg)]
            if legs:
                found.append(QueuedLetter(number, letter.envelope, legs))
            if len(found) >= selection.limit:
                break
        return found

    async def content(self, letter: LetterId) -> Content | None:
        self._guard("content")
        found = self._store.letters.get(letter)
        return found.content if found else None

    async def apply(
        self,
        selection: Selection,
        steer: Steer,
        *,
        now: float,
        reason: str = "",
        changed: Callable[[int], None] | None = None,
    ) -> int:
        self._guard("apply")
        count = 0
        for number, letter in self._store.letters.items():
            if not means_letter(selection, number, letter.envelope):
                continue
            for stored in letter.legs.values():
                if not (steered(steer, stored.leg.state) and means_leg(selection, stored.leg)):
                    continue
                count += 1
                if steer is Steer.HOLD:
                    stored.hold(reason)
                else:
                    stored.leg.hold_reason = ""
                    stored.wait_until(now)
        if changed is not None and count:
            changed(count)
        return count

    async def reroute(
        self,
        selection: Selection,
        rekey: Rekey,
        *,
        now: float,
        changed: Callable[[int], None] | None = None,
    ) -> int:
        self._guard("reroute")
        count = 0
        for number, letter in self._store.letters.items():
            if means_letter(selection, number, letter.envelope):
                meant = [s for s in letter.legs.values() if s.claimed_by is None and means_leg(selection, s.leg)]
                count += sum([_reroute(letter, stored, rekey, now) for stored in meant])
        if changed is not None and count:
            changed(count)
        return count

    async def waiting(self, next_hop: str) -> int:
        self._guard("waiting")
        stored = [stored for letter in self._store.letters.values() for stored in letter.legs.values()]
        return sum(one.leg.next_hop == next_hop and one.leg.next_attempt is not None for one in stored)

    async def claim_for_removal(self, letter: LetterId, selection: Selection | None = None) -> list[Claim]:
        self._guard("claim_for_removal")
        found = self._store.letters.get(letter)
        if found is None or not (selection is None or means_letter(selection, letter, found.envelope)):
            return []
        legs = [stored for _, stored in sorted(found.legs.items()) if stored.claimed_by not in self._store.alive]
        return [self._give(stored) for stored in legs if selection is None or means_leg(selection, stored.leg)]

    async def shape(self, edges: Sequence[float]) -> dict[str, list[int]]:
        self._guard("shape")
        shape: dict[str, list[int]] = {}
        firsts = [first_id(edge) for edge in edges]
        for number, letter in self._store.letters.items():
            column = next((column for column, first in enumerate(firsts) if number >= first), len(firsts))
            for stored in letter.legs.values():
                shape.setdefault(stored.leg.next_hop, [0] * (len(firsts) + 1))[column] += 1
        return shape

    async def suspend_site(self, suspension: Suspension) -> None:
        self._guard("suspend_site")
        self._store.suspensions[suspension.site] = suspension

    async def resume_site(self, site: str) -> bool:
        self._guard("resume_site")
        ended = self._store.suspensions.pop(site, None)
        return ended is not None and ended.lasts(self._clock.now())

    async def suspensions(self) -> list[Suspension]:
        self._guard("suspensions")
        return [self._store.suspensions[site] for site in sorted(self._store.suspensions)]

    async def tell_sites(self, changed: Sequence[SiteStatus], gone: Collection[str]) -> None:
        self._guard("tell_sites")
        for name in gone:
            self._store.sites.pop((name, self._incarnation), None)
        for status in changed:
            told = msgspec.structs.replace(status, told_by=self._incarnation)
            self._store.sites[status.site, self._incarnation] = told

    async def site_statuses(self) -> list[SiteStatus]:
        self._guard("site_statuses")
        return [told for (_, owner), told in sorted(self._store.sites.items()) if owner in self._store.alive]

    async def trail(self, letter: LetterId) -> list[TrailEntry]:
        self._guard("trail")
        return [entry for entry in self._store.trail if entry.letter == letter]

    async def letters_with_message_id(self, message_id: str) -> list[LetterId]:
        self._guard("letters_with_message_id")
        key = message_id_key(message_id)
        queued = {n for n, letter in self._store.letters.items() if message_id_key(letter.envelope.message_id) == key}
        told = {LetterId(e.letter) for e in self._store.trail if message_id_key(e.envelope.message_id) == key}
        return sorted(queued | told)

    async def counts(self) -> dict[str, int]:
        self._guard("counts")
        counts = {state.value: 0 for state in LegState} | {"letters": len(self._store.letters)}
        for letter in self._store.letters.values():
            for stored in letter.legs.values():
                counts[stored.leg.state.value] += 1
        return counts

    async def close(self) -> None:
        self.resume()
        self._closed = True
        if self._incarnation in self._store.alive:
            self._store.alive.discard(self._incarnation)
            self._free(self._incarnation)

    # Inside --------------------------------------------------------------------------------------------------------

    def _guard(self, verb: str) -> None:
        faults = self._faults.get(verb)
        if faults:
            raise faults.pop(0)

    def _verb(self, name: str, act: Callable[[], T], failed: Callable[[], None] | None = None) -> Awaitable[T]:
        """Runs `act` now, or at `resume`; the answer comes through a future, as from an engine that commits."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def run() -> None:
            try:
                self._guard(name)
                if self._closed:
                    raise SpoolFailed("the spool is closed")
                result = act()
            except Exception as error:
                if failed:
                    failed()
                if not future.cancelled():
                    future.set_exception(error)
                    future.exception()  # who does not await a record is not told by a warning either
            else:
                if not future.cancelled():
                    future.set_result(result)

        if self._paused:
            self._waiting.append(run)
        else:
            run()
        return future

    def _give(self, stored: _Stored) -> Claim:
        stored.give(self._incarnation)
        letter = self._store.letters[stored.leg.letter]
        return Claim(stored.leg.letter, letter.envelope, _copy(stored.leg), letter.content)

    def _free(self, incarnation: Incarnation) -> int:
        now, freed = self._clock.now(), 0
        for letter in self._store.letters.values():
            for stored in letter.legs.values():
                if stored.claimed_by == incarnation:
                    stored.wait_until(now)
                    freed += 1
        return freed


def _reroute(letter: _Letter, stored: _Stored, rekey: Rekey, now: float) -> bool:
    leg = stored.leg
    new = rekey(letter.envelope, _copy(leg))
    check_rekeyed(leg, new)
    first, *others = new
    if not others and (first.next_hop, first.recipients) == (leg.next_hop, leg.recipients):
        return False
    for part in others:
        made = letter.add(leg.letter, msgspec.structs.replace(part, flow=leg.flow, priority=leg.priority), now, None)
        made.attempts, made.hold_reason = leg.attempts, leg.hold_reason
        letter.legs[made.number].wait_until(now)
    leg.next_hop, leg.recipients = first.next_hop, _copies(first.recipients)
    stored.wait_until(now)
    return True


def _is_due(leg: Leg, now: float) -> bool:
    return leg.next_attempt is not None and leg.next_attempt <= now


def _copies(recipients: Sequence[Recipient]) -> list[Recipient]:
    """Callers keep and change their own; what is stored is stored."""
    return [msgspec.structs.replace(recipient) for recipient in recipients]


def _copy(leg: Leg) -> Leg:
    return msgspec.structs.replace(leg, recipients=_copies(leg.recipients))
