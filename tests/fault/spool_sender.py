"""A process for `test_spool_crash`: accepts letters and records them, and says so, until it is killed.

Each line it writes is true when it is written: `A <id> <octets>` after an accept, `R <id>` after a record.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record
from ekiden.storage.sqlite.spool import SqliteSpool

IN_FLIGHT = 40


class Clock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


def say(text):
    os.write(1, text.encode() + b"\n")


def content_of(letter, size):
    """Octets that only this letter has."""
    return (b"%020d" % letter) * (size // 20)


async def send(spool, number):
    while True:
        number += IN_FLIGHT
        size = 200_000 if number % 15 == 0 else 2_000
        draft = spool.begin()
        draft.write(content_of(draft.letter, size))
        legs = [NewLeg("mx:example.org", [Recipient("bob@example.org")])]
        envelope = Envelope("alice@example.test", time.time(), Origin())
        (claim,) = await spool.accept(draft, envelope, legs, claim=True)
        say(f"A {draft.letter} {size}")
        if number % 3:
            assert await spool.record(Record(claim, [Outcome("bob@example.org", OutcomeKind.RELAYED)]))
            say(f"R {draft.letter}")


async def main(folder):
    spool = SqliteSpool.open(folder, Clock())
    await asyncio.gather(*(send(spool, number) for number in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
