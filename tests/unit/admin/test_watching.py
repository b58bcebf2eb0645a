"""One look at a server: what workers say is put together, and the queue is not counted more often than it bears."""

from __future__ import annotations

import json

from ekiden.admin.queue import QueueView
from ekiden.admin.watching import DoorSight, Watch
from ekiden.cli.watch_text import sight_json, sight_line, sight_text
from ekiden.ports.bans import Ban
from ekiden.ports.counts import LiveRow
from ekiden.ports.spool import SiteStatus, Suspension
from tests.fakes.clock import FakeClock


class Board:
    def __init__(self, *rows: LiveRow) -> None:
        self.found = list(rows)

    def rows(self) -> list[LiveRow]:
        return self.found


class Reader:
    """As much of `admin.queue.LetterReader` as a look asks. Counting takes `seconds`."""

    def __init__(self, clock: FakeClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.asked = 0
        self.statuses: list[SiteStatus] = []

    async def counts(self) -> dict[str, int]:
        self.asked += 1
        self.clock.advance(self.seconds)
        return {"waiting": 1200, "held": 1, "claimed": 2, "letters": 900 + self.asked}

    async def suspensions(self) -> list[Suspension]:
        return []

    async def site_statuses(self) -> list[SiteStatus]:
        return self.statuses


def row(worker: int, minute: dict[str, dict[str, int]], guessers: list[tuple[str, int]]) -> LiveRow:
    return LiveRow(worker, 7, 1.5, {"pop3s": 1, "relay": worker + 1}, minute, guessers, in_memory=3)


def look_at(*rows: LiveRow) -> tuple[Watch, Reader]:
    clock = FakeClock()
    reader = Reader(clock)
    return Watch(Board(*rows), QueueView(reader), Banned(), clock), reader  # type: ignore[arg-type]


class Banned:
    """Four that last, and one that is over."""

    async def all(self) -> list[Ban]:
        return [Ban(f"192.0.2.{n}/32", 1.0, 5.0 if n == 4 else None, "root") for n in range(5)]


ONE = row(
    0,
    {"letters.in": {"relay": 2}, "sessions": {"relay": 4}, "refused": {"relay-denied": 3, "unknown-recipients": 2}},
    [("192.0.2.0/24", 5), ("198.51.100.0/24", 4)],
)
TWO = row(
    1,
    {
        "letters.in": {"relay": 1, "submission": 1}, "letters.out": {"mx:far.test": 6}, "bounced": {"mx:far.test": 1},
        "delayed": {"mx:far.test": 2}, "guards": {"connections-address": 9, "unknown-recipients": 2},
        "refused": {"relay-denied": 1}, "logins": {"pop3s": 8}, "logins.failed": {"alice@example.test": 7},
    },
    [("198.51.100.0/24", 2)],
)  # fmt: skip


async def test_workers_are_put_together() -> None:
    watch, reader = look_at(ONE, TWO)
    reader.statuses = [SiteStatus("mx.far.test", "resting", "421", since=1.0, until=1_767_225_600.0 + 600)]
    sight = await watch.look()
    assert sight.workers == 2
    assert sight.doors == [DoorSight("relay", 3, 4, 3, 0), DoorSight("pop3s", 2, 0, 0, 8)], "in the usual order"
    assert (sight.letters_in, sight.letters_out, sight.bounced, sight.delayed) == (4, 6, 1, 2)
    assert (sight.logins, sight.logins_failed, sight.in_memory, sight.bans) == (8, 7, 6, 4)
    assert sight.refused == [("connections-address", 9), ("relay-denied", 4), ("unknown-recipients", 2)]
    assert sight.guessers == [("198.51.100.0/24", 6), ("192.0.2.0/24", 5)]
    text = sight_text(sight)
    for piece in ("2 workers", "relay", "1,200 waiting, 1 held, 2 in hand", "4 in, 6 out", "1 bounced, 2 put off",
                  "8 good, 7 wrong", "198.51.100.0/24", "connections-address", "rests, 10m", "4 networks"):  # fmt: skip
        assert piece in text
    line = sight_line(sight)
    assert "\n" not in line
    for piece in ("5 sessions (relay 3, pop3s 2)", "in 4 out 6", "refused 15", "wrong 7", "198.51.100.0/24 6",
                  "bans 4", "resting 1 site"):  # fmt: skip
        assert piece in line
    found = json.loads(sight_json(sight))
    assert found["doors"]["relay"] == {"sessions": 3, "ended": 4, "letters": 3, "logins": 0}
    assert found["refused"] == {"connections-address": 9, "relay-denied": 4, "unknown-recipients": 2}
    assert found["guessers"][0] == {"network": "198.51.100.0/24", "wrong_logins": 6}
    assert found["queue"]["letters"] == 901
    assert [one["state"] for one in found["sites"]] == ["resting"]


async def test_without_a_server_the_queue_is_there() -> None:
    watch, _ = look_at()
    text = sight_text(await watch.look())
    assert "no server runs" in text
    assert "1,200 waiting" in text
    assert "DOOR" not in text


async def test_a_long_queue_is_not_counted_each_second() -> None:
    watch, reader = look_at()
    reader.seconds = 0.1
    for _ in range(5):
        await watch.look()
        reader.clock.advance(0.3)
    assert reader.asked == 1
    reader.clock.advance(1.0)
    assert (await watch.look()).queue["letters"] == 902
