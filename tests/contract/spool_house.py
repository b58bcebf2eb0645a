"""A spool of any engine with several views on it, and letters to put into it: for the contract's tests."""

from __future__ import annotations

import fcntl

from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Claim, Record
from ekiden.storage.memory.spool import MemorySpool
from ekiden.storage.sqlite.spool import SqliteSpool
from tests.fakes.clock import FakeClock

HEADER = b"Subject: post\r\n\r\n"


class House:
    """Opens views of one spool; `kill` ends one as SIGKILL does: its lock is free, its claims stay."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        self.clock = FakeClock()
        self.views = []

    def open(self):
        if self.engine == "memory":
            view = MemorySpool(self.clock, len(self.views) + 1, shared=self.views[0] if self.views else None)
        else:
            view = SqliteSpool.open(self.folder / "spool", self.clock, move_history=False)
        self.views.append(view)
        return view

    def kill(self, view):
        if isinstance(view, MemorySpool):
            view.die()
        else:
            fcntl.flock(view._life, fcntl.LOCK_UN)


def leg(*paths, next_hop="mx:example.org", **fields):
    return NewLeg(next_hop, [Recipient(path) for path in paths or ("bob@example.org",)], **fields)


def envelope(reverse_path="alice@example.test", **fields):
    fields.setdefault("origin", Origin(door="submission", account="alice@example.test"))
    return Envelope(reverse_path, 1_767_225_600.25, **fields)


async def put(spool, *legs, claim=True, content=HEADER + b"hello\r\n", **fields):
    draft = spool.begin()
    draft.write(content)
    claims = await spool.accept(draft, envelope(**fields), legs or (leg(),), claim=claim)
    return claims if claim else draft.letter


def ended(claim: Claim, kind=OutcomeKind.RELAYED):
    return [Outcome(recipient.forward_path, kind) for recipient in claim.leg.recipients]


def finished(claim: Claim, kind=OutcomeKind.RELAYED, **fields):
    return Record(claim, ended(claim, kind), **fields)


def delayed(claim: Claim, when: float, **fields):
    return Record(claim, ended(claim, OutcomeKind.DELAYED), remaining=claim.leg.recipients, next_attempt=when, **fields)


def names(claims):
    return [(claim.letter, claim.leg.number) for claim in claims]


async def gathered(content):
    pieces = [piece async for piece in content.chunks()]
    assert all(len(piece) <= 65536 for piece in pieces)
    return b"".join(pieces)
