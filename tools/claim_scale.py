"""What claims cost on a large queue, and what the indexes for fair turns cost those who write to it.

    python tools/claim_scale.py /var/tmp/claim-scale            # a million legs, 10,000 next hops, 100,000 flows
    python tools/claim_scale.py /var/tmp/claim-scale 100000

The folder must not exist; it is left behind, to be looked at. Rows are written directly, beside the spool's two doors:
only for measuring. Each claim is a transaction that is committed; then its legs are made due again.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import apsw
import msgspec

from ekiden.app.clock import SystemClock
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.ids import Incarnation, first_id
from ekiden.storage.sqlite import verbs
from ekiden.storage.sqlite.connection import transaction
from ekiden.storage.sqlite.spool import SqliteSpool
from ekiden.storage.sqlite.turns import Turns

HOPS: Final = 10_000
FLOWS: Final = 100_000
BATCH: Final = 200
CLAIMS: Final = 20
#: What arrives while the backlog waits.
ARRIVING: Final = 10_000
AT_ONCE: Final = 50
CONTENT: Final = b"Subject: measured\r\n\r\n" + b"x" * 4060 + b"\r\n"
INDEXES: Final = ("leg_hop", "leg_flow")


def fill(connection: apsw.Connection, legs: int, next_hop: Callable[[int], str], flow: Callable[[int], str]) -> None:
    """Legs only: nothing is read of letters here. All are due at the same time, as after `queue retry --all`."""
    recipients = msgspec.msgpack.encode([Recipient("to@far.test", last_error="450 4.4.1 no answer")])
    now = time.time()
    with transaction(connection):
        connection.execute("DELETE FROM leg")
        connection.executemany(
            "INSERT INTO leg VALUES (?, 0, ?, ?, 0, 3, ?, NULL, '', ?)",
            (
                (first_id(now - 86400) + number, next_hop(number), flow(number), now - 9000, recipients)
                for number in range(legs)
            ),
        )


def measure_claims(connection: apsw.Connection, name: str, avoid: Collection[str]) -> None:
    """The legs claimed stay claimed: the next claim is another one."""
    turns, times, claimed = Turns(), [], 0
    for _ in range(CLAIMS):
        begun = time.perf_counter()
        with transaction(connection):
            legs = verbs.claim_due(connection, Incarnation(1), time.time() + 9999, BATCH, avoid, turns)
        times.append((time.perf_counter() - begun) * 1000)
        claimed += len(legs)
    with transaction(connection):
        connection.execute("UPDATE leg SET claimed_by = NULL, next_attempt = 1 WHERE claimed_by = 1")
    print(
        f"  {name:52} {statistics.median(times):7.2f} ms  worst {max(times):7.2f} ms  {claimed / CLAIMS:5.0f} legs",
        flush=True,
    )


async def accept_rate(folder: Path) -> float:
    """Letters a second that are due at once, each to another next hop and of another flow."""
    spool = SqliteSpool.open(folder, SystemClock(), move_history=False)
    envelope = Envelope("from@near.test", time.time(), Origin(), len(CONTENT), 21)

    async def one(number: int) -> None:
        draft = spool.begin()
        draft.write(CONTENT)
        hop, flow = number * 7919 % HOPS, number * 104_729 % FLOWS
        await spool.accept(
            draft, envelope, [NewLeg(f"mx:d{hop}.test", [Recipient("to@far.test")], f"s{flow}.test")], claim=False
        )

    begun = time.perf_counter()
    for start in range(0, ARRIVING, AT_ONCE):
        await asyncio.gather(*(one(number) for number in range(start, start + AT_ONCE)))
    seconds = time.perf_counter() - begun
    await spool.close()
    return ARRIVING / seconds


def measure_accepting(folder: Path, connection: apsw.Connection, name: str) -> None:
    rates = [asyncio.run(accept_rate(folder)) for _ in range(3)]
    pages = connection.execute("SELECT count(*) FROM leg").get
    print(f"  {name:52} {statistics.median(rates):7.0f} letters a second, beside {pages} legs", flush=True)


def main() -> None:
    folder = Path(sys.argv[1])
    legs = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder.mkdir()
    asyncio.run(SqliteSpool.open(folder, SystemClock(), move_history=False).close())
    connection = apsw.Connection(str(folder / "spool.db"))
    connection.pragma("cache_size", -16 * 1024)
    connection.pragma("synchronous", "FULL")

    print("accepting what is due at once:")
    measure_accepting(folder, connection, "an empty queue")
    print("claims:")
    fill(connection, legs, lambda n: "mx:one.test", lambda n: "bulk")
    measure_claims(connection, "all to one next hop, of one flow", ())
    measure_claims(connection, "the same, and that next hop is avoided", {"mx:one.test"})
    fill(connection, legs, lambda n: f"mx:d{n % HOPS}.test", lambda n: "bulk")
    measure_claims(connection, f"one flow, {HOPS} next hops", ())
    fill(connection, legs, lambda n: f"mx:d{n % HOPS}.test", lambda n: f"s{n % FLOWS}.test")
    measure_claims(connection, f"{HOPS} next hops, {FLOWS} flows", ())
    measure_claims(connection, "a third of the next hops is avoided", {f"mx:d{n}.test" for n in range(0, HOPS, 3)})
    measure_claims(connection, "all next hops are avoided", {f"mx:d{n}.test" for n in range(HOPS)})
    print("accepting what is due at once:")
    measure_accepting(folder, connection, "with all indexes")
    for index in INDEXES:
        connection.execute(f"DROP INDEX {index}")
    measure_accepting(folder, connection, "without those of turns")


if __name__ == "__main__":
    main()
