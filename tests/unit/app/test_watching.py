"""What a worker counts reaches the board and the store; one of two has the duty; nothing of it fails the worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from ekiden.app.watching import Watching
from ekiden.config.model import Config
from ekiden.message.notice import Notice
from ekiden.model.events import AnomalyFound
from ekiden.model.measures import LETTERS_IN, LOGINS_FAILED
from ekiden.policy.anomaly import HOUR, WEEK_HOURS
from ekiden.storage.machine.board import FileBoard
from ekiden.storage.sqlite.counts import SqliteCounts
from ekiden.telemetry.counts import SECONDS, LiveCounts
from ekiden.telemetry.guessers import Guessers
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink


class Works:
    """`app.compose.Works` as far as watching goes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = FakeClock()
        self.events = CollectingSink()
        self.doors = SimpleNamespace(sessions=lambda: {"relay": 3})
        self.window = SimpleNamespace(used_legs=2)
        self.spool = self
        self.notices = self
        self.waiting = 7
        self.letters: list[Notice] = []
        self.reports: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def counts(self) -> dict[str, int]:
        return {"waiting": self.waiting, "held": 0}

    async def tell(self, notice: Notice, *, every: float = 0.0) -> bool:
        self.letters.append(notice)
        return True

    def spawn(self, work: Coroutine[Any, Any, None], where: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def report(self, where: str, error: BaseException) -> None:
        self.reports.append(where)


class Worker:
    def __init__(self, folder: Path, number: int, *, mail: bool = True) -> None:
        plain = {"hostname": "mail.example.test", "data_dir": str(folder), "watch": {"anomaly_mail": mail}}
        config = msgspec.convert(plain, Config)
        self.works = Works(config)
        self.counts = LiveCounts()
        self.watching = Watching(config, number, self.works, self.counts, Guessers(str))  # type: ignore[arg-type]

    @property
    def hour(self) -> int:
        return int(self.works.clock.now() // HOUR)

    async def minute(self) -> None:
        for _ in range(SECONDS):
            self.works.clock.advance(1.0)
            self.watching.tick()
        while self.works.tasks:
            await self.works.tasks.pop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    return made


async def totals(folder: Path, *measures: str) -> Counter[str]:
    store = SqliteCounts(folder / "watch")
    hour = int(FakeClock().now() // HOUR)
    found = Counter({name: sum((await store.totals(name, [hour, hour + 1])).values()) for name in measures})
    store.close()
    return +found


async def test_two_workers_count_together_and_one_has_the_duty(folder: Path) -> None:
    one, two = Worker(folder, 0), Worker(folder, 1)
    for worker in (one, two):
        worker.counts.add(LETTERS_IN, "relay", 2)
        await worker.minute()
    assert await totals(folder, "letters.in", "up", "queue") == {"letters.in": 4, "up": 1, "queue": 7}
    rows = FileBoard(folder / "watch").rows()
    assert [(row.worker, row.sessions, row.in_memory) for row in rows] == [(0, {"relay": 3}, 2), (1, {"relay": 3}, 2)]
    await one.watching.close()
    await two.minute()
    assert (await totals(folder, "up")) == {"up": 2}, "the other one has taken over"
    two.counts.add(LETTERS_IN, "relay")
    await two.watching.close()
    assert await totals(folder, "letters.in") == {"letters.in": 5}, "also what was counted since the last minute"
    assert FileBoard(folder / "watch").rows() == []
    assert one.works.reports + two.works.reports == []


@pytest.mark.parametrize("mail", [True, False])
async def test_an_anomaly_is_told_and_written(folder: Path, mail: bool) -> None:
    worker = Worker(folder, 0, mail=mail)
    store = SqliteCounts(folder / "watch")
    for hour in range(worker.hour - 3 * WEEK_HOURS, worker.hour):
        await store.add(hour, {"up": {"": 60}, "logins.failed": {"a@example.test": 3}})
    store.close()
    worker.counts.add(LOGINS_FAILED, "alice@example.test", 300)
    await worker.minute()
    await worker.minute()
    event = worker.works.events.one(AnomalyFound)
    assert (event.measure, event.count, event.top) == ("logins.failed", 300, {"alice@example.test": 300})
    assert [letter.about for letter in worker.works.letters] == (["logins.failed"] if mail else [])
    await worker.watching.close()


async def test_what_cannot_be_written_is_told_once_and_written_later(folder: Path) -> None:
    worker = Worker(folder, 0)
    (folder / "watch").write_text("in the way")
    for _ in range(2):
        worker.counts.add(LETTERS_IN, "relay")
        await worker.minute()
    assert sorted(worker.works.reports) == ["board", "counts"]
    (folder / "watch").unlink()
    worker.counts.add(LETTERS_IN, "relay")
    await worker.minute()
    assert await totals(folder, "letters.in", "up") == {"letters.in": 3, "up": 1}
    assert len(FileBoard(folder / "watch").rows()) == 1
    await worker.watching.close()
    worker.watching.tick()  # the last beat of a worker that ends
    while worker.works.tasks:
        await worker.works.tasks.pop()
    assert sorted(worker.works.reports) == ["board", "counts"]
