"""Spool: the queue's engine. Mail verbs, one transaction each; never rows or SQL.

Responsibility for a letter enters only through `accept` and leaves only through `record` ("two doors", DESIGN §3).

Contract
1. `accept` returns when content, envelope and legs survive a power cut; before that nobody says 250. What fails raises
   SpoolFailed and leaves nothing behind.
2. A claim names this process's incarnation, never an expiry. Claims of an incarnation that is not alive are freed by
   `free_claims`. `record` of a lost claim changes nothing and returns False: no second report can come from it.
3. `record` is one transaction: outcomes, next attempt, reports (new letters of ours) and expansions stand or fall
   together. A letter without legs is gone, content included.
4. In a group commit one verb's failure never undoes its neighbours.
5. `apply` and `reroute` only steer, in slices; what takes legs out of the queue
   (remove, bounce) goes through `claim_for_removal` and `record`.
   What is held (`hold_reason` is not empty) is held again when such a claim is given back or freed.
6. All methods are called on the loop's thread; engines do their I/O elsewhere and wake the loop once a batch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from ekiden.model.envelope import Envelope, Leg, NewLeg, Recipient
from ekiden.model.ids import Incarnation, LetterId
from ekiden.model.outcome import Outcome

#: When what a person wants to be tried now is due: long ago, so that it can be told from what is merely due, and a site
#: that rests is tried at once for it (`claim(BY_HAND, …)`).
BY_HAND: Final = 1.0


class SpoolFailed(Exception):
    """The store could not do it: temporary. `full`: no space is left (452 4.3.1), else 451 4.3.0."""

    def __init__(self, text: str, *, full: bool = False) -> None:
        super().__init__(text)
        self.full = full


class Content(Protocol):
    """A letter's octets: header section, empty line, body; CRLF line ends as stored; not dot-stuffed."""

    @property
    def size_octets(self) -> int: ...

    @property
    def octets(self) -> bytes | None:
        """All of it, if it is small enough to be in memory (64 KiB at most); else None: use `chunks`."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Pieces of at most 64 KiB, in order. Raises SpoolFailed."""

    async def head(self, limit: int) -> bytes:
        """The first `limit` octets at most."""


class Draft(Protocol):
    """A letter that is being received. Nobody but its session knows of it; a crash forgets it."""

    @property
    def letter(self) -> LetterId: ...

    @property
    def size_octets(self) -> int: ...

    def write(self, data: bytes) -> None:
        """Appends. Never blocks for long (memory, or the page cache). Raises SpoolFailed (disk full)."""

    def overwrite(self, position: int, data: bytes) -> None:
        """Changes octets that were written, for what is known only at the end. Raises SpoolFailed."""

    def drain(self) -> Awaitable[None] | None:
        """None if more may be written at once; else await it first (back-pressure for large content)."""

    def discard(self) -> None:
        """Forgets it; idempotent, and allowed after `accept` (then it does nothing)."""


class Claim(msgspec.Struct):
    """A leg that this process holds, with what an attempt needs. `leg.number` names the leg within the letter."""

    letter: LetterId
    envelope: Envelope
    leg: Leg
    content: Content


class Report(msgspec.Struct):
    """A letter of our own making (DSN), stored by `record` in the same transaction, due at once.

    `letter`: its id, filled in when `record` is called."""

    envelope: Envelope
    content: bytes
    legs: list[NewLeg]
    letter: LetterId = LetterId(0)


class Record(msgspec.Struct):
    """What an attempt came to.

    `outcomes`: one a recipient of the leg, in its order; DELAYED ones stay in the leg. `remaining`: those recipients
    with their changed fields (`last_error`, `delay_reported`), in order. `next_attempt`: when (seconds since 1970) the
    leg is due again, None if no recipient remains. `expanded`: new legs of the same letter. `counts`: whether this was
    an attempt (False: site down, released). `next_hop`: the key of what remains, if the next attempt goes another way.
    `hold_reason`: what remains is held for a person, whatever `next_attempt` says; '' if it is not.
    """

    claim: Claim
    outcomes: list[Outcome]
    remaining: list[Recipient] = []
    next_attempt: float | None = None
    reports: list[Report] = []
    expanded: list[NewLeg] = []
    counts: bool = True
    remote: str = ""
    next_hop: str = ""
    hold_reason: str = ""


class Selection(msgspec.Struct, kw_only=True):
    """Which legs a listing or `apply` means; all conditions must hold. `text` fields '' and None mean: any.

    `next_hop`: the key. `error`: part of a recipient's `last_error`, letter case does not matter. `arrived_before`,
    `arrived_after`: seconds since 1970; a letter's id says when it came (`model.ids`). `hold`: how a `hold_reason`
    begins."""

    letter: LetterId | None = None
    domain: str = ""
    sender: str = ""
    account: str = ""
    state: str = ""
    after: LetterId | None = None
    limit: int = 100
    next_hop: str = ""
    error: str = ""
    arrived_before: float | None = None
    arrived_after: float | None = None
    hold: str = ""


class QueuedLetter(msgspec.Struct):
    """A letter with its legs, for listings; without content."""

    letter: LetterId
    envelope: Envelope
    legs: list[Leg]


class Steer(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"


#: What becomes of a leg that is sent another way: all of its recipients, by next hop. Pure.
Rekey = Callable[[Envelope, Leg], Sequence[NewLeg]]


class Suspension(msgspec.Struct):
    """Nothing is sent to `site` (a next-hop key, a domain or the name of an MX host) until then.

    `since`, `until`: seconds since 1970; `until` None: until a person resumes it. `by`: who did it."""

    site: str
    until: float | None = None
    reason: str = ""
    by: str = ""
    since: float = 0.0

    def lasts(self, now: float) -> bool:
        """Whether it holds at `now`: it ends by itself, and nobody need take it away."""
        return self.until is None or now < self.until


class SiteStatus(msgspec.Struct):
    """What a worker says of a site that does not take all that waits for it.

    `state`: resting (it failed as a whole), suspended (by a person), blocked (port 25 is, by this network), slots (all
    connections that it may have are other workers'), limits (it takes letters, as fast as its limits allow), crowded
    (the worker has no connection left for it). `since`, `until`: seconds since 1970; `until` None: that is not known.
    `next_hops`: keys that lead there, so many that a row stays small. `connections`: how many it may have. `told_by`:
    the worker; the spool fills it in."""

    site: str
    state: str
    reason: str
    since: float
    until: float | None = None
    next_hops: list[str] = []
    connections: int = 0
    told_by: int = 0


class Overdue(msgspec.Struct):
    """Which legs a sweep means: those that wait to go by one of `next_hops` and arrived before `expired`, or before
    `late` with a recipient whose delay was not told. Both: seconds since 1970. `after`: the leg behind which it goes
    on, as (letter, number); `limit`: legs at once."""

    next_hops: Collection[str]
    late: float
    expired: float
    after: tuple[int, int] | None = None
    limit: int = 100


class TrailEntry(msgspec.Struct, array_like=True):
    """What history keeps a `record`: enough to tell the story without the spool. `time`: seconds since 1970. `rules`:
    by which the recipients were taken, one an outcome, or a single one for all of them."""

    letter: int
    time: float
    envelope: Envelope
    leg: int
    next_hop: str
    attempt: int
    outcomes: list[Outcome]
    next_attempt: float | None = None
    reports: list[int] = []
    rules: list[str] = []

    def rule(self, index: int) -> str:
        """By which the recipient of outcome `index` was taken; '' if none is known."""
        return "" if not self.rules else self.rules[index if len(self.rules) > 1 else 0]


class Spool(Protocol):
    @property
    def incarnation(self) -> Incarnation: ...

    def begin(self) -> Draft:
        """Raises SpoolFailed when nothing can be taken (disk full)."""

    def accept(
        self, draft: Draft, envelope: Envelope, legs: Sequence[NewLeg], *, claim: bool
    ) -> Awaitable[list[Claim]]:
        """Durable on return. `claim`: the legs are born claimed by this incarnation and come back as claims; else they
        are due at once and the list is empty. Legs with a `hold_reason` are held, whatever `claim` says. Raises
        SpoolFailed; the draft is then discarded."""

    async def claim(self, now: float, limit: int, *, avoid: Collection[str] = ()) -> list[Claim]:
        """Up to `limit` legs that are due at `now`, claimed by this incarnation; priority first, then oldest.

        `avoid`: next-hop keys whose legs are not wanted now. If more is due than fits, next hops and flows take turns:
        one leg to another next hop or of another flow does not wait for those that were due before it; higher
        priorities come first, but not alone. What an engine does not find at small cost it may leave to a later claim,
        so that an empty answer does not mean that nothing is due."""

    async def next_due(self, avoid: Collection[str] = ()) -> float | None:
        """When the earliest waiting leg is due (seconds since 1970) whose next hop is not in `avoid`; None if none
        waits. With `avoid` an engine may answer too early, never too late: what then claims nothing waits a while
        before it asks again."""

    async def claim_overdue(self, overdue: Overdue) -> tuple[list[Claim], tuple[int, int] | None]:
        """For letters that nobody tries, because their site takes none: who waits too long must be told all the same.
        Claims as `claim` does, the oldest first, but looks at a bounded number of legs, whatever they are; the second
        says behind which leg to go on, None: those were all. `leg.next_attempt` of these claims says when they would
        have been due."""

    def record(self, record: Record) -> Awaitable[bool]:
        """False: the claim was lost, nothing changed. Need not be awaited for order: verbs of one process keep
        theirs."""

    def release(self, claims: Sequence[Claim], next_attempt: float) -> Awaitable[None]:
        """Gives claims back unattempted, due at `next_attempt`."""

    async def free_claims(self, incarnation: Incarnation) -> int:
        """Legs of a dead incarnation become due at once; how many."""

    async def find(self, selection: Selection) -> list[QueuedLetter]:
        """In the order of ids. `selection.after` pages."""

    async def content(self, letter: LetterId) -> Content | None: ...

    async def apply(
        self,
        selection: Selection,
        steer: Steer,
        *,
        now: float,
        reason: str = "",
        changed: Callable[[int], None] | None = None,
    ) -> int:
        """How many legs were changed; `selection.limit` does not bound it. Claimed legs are left alone, but RETRY of
        them is no error. `changed`: told how many after each slice, so that nothing is untold if a later one fails."""

    async def claim_for_removal(self, letter: LetterId, selection: Selection | None = None) -> list[Claim]:
        """Claims the legs of the letter that no living worker is trying right now; with a `selection` only those
        that it means as they are at that moment."""

    async def reroute(
        self,
        selection: Selection,
        rekey: Rekey,
        *,
        now: float,
        changed: Callable[[int], None] | None = None,
    ) -> int:
        """How many legs go another way now, as `rekey` says: the first leg that it makes takes the leg's place, more
        of them become further legs of the letter. They are due at once, or held if the leg was; attempts, flow and
        priority stay. In slices, and claimed legs are left alone, as by `apply`."""

    async def waiting(self, next_hop: str) -> int:
        """How many legs wait to go this way (none that is held or being tried), without reading other ones."""

    async def shape(self, edges: Sequence[float]) -> dict[str, list[int]]:
        """Legs by next-hop key and age, without reading letters: `len(edges) + 1` counts a key. `edges`: times of
        arrival, latest first; count n is of what came at edge n or after it, the last one of what is older."""

    async def suspend_site(self, suspension: Suspension) -> None:
        """Kept for all workers to read; instead of an earlier one of the same site. Claims do not heed it: who
        claims gives it in `avoid`."""

    async def resume_site(self, site: str) -> bool:
        """Ends a suspension; False if there was none that lasts."""

    async def suspensions(self) -> list[Suspension]:
        """By site; also such as have ended by now (`Suspension.lasts`). Cheap: a worker asks every few seconds."""

    async def tell_sites(self, changed: Sequence[SiteStatus], gone: Collection[str]) -> None:
        """Keeps what this incarnation says of sites, instead of what it said of them before; forgets what it said of
        `gone`. For people to read: nothing depends on it, and it need not survive a power cut."""

    async def site_statuses(self) -> list[SiteStatus]:
        """By site: what living incarnations say. A dead one's words do not count."""

    async def trail(self, letter: LetterId) -> list[TrailEntry]:
        """History of a letter, oldest first; [] if nothing was recorded yet (or it is forgotten)."""

    async def letters_with_message_id(self, message_id: str) -> list[LetterId]: ...

    async def counts(self) -> dict[str, int]:
        """Legs by state, and 'letters'."""

    async def close(self) -> None:
        """Commits what is under way, then frees this incarnation's claims and its lock."""
