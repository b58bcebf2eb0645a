"""The way into the store: in a thread, in loads, bounded, tried again, and never in anybody's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from ekiden.model.events import (
    AccountChanged,
    AttemptFinished,
    Event,
    EventsDropped,
    LetterAccepted,
    LoginFailed,
    ServerChanged,
    SessionClosed,
)
from ekiden.ports.event_store import EventEntry
from ekiden.telemetry import keeping
from ekiden.telemetry.keeping import Both, EntryMaker, StoredEvents
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink


class GatedKeeper:
    """Writes wait until the gate is open; `failures` of them fail."""

    def __init__(self) -> None:
        self.days, self.octets = 30, 1 << 30
        self.gate = threading.Event()
        self.failures = 0
        self.loads: list[list[EventEntry]] = []
        self.asked = threading.Semaphore(0)
        self.tidied = threading.Semaphore(0)
        self.closed = False

    def write(self, entries: list[EventEntry]) -> None:
        self.asked.release()
        assert self.gate.wait(20)
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.loads.append(list(entries))

    def tidy(self, now: float) -> None:
        self.tidied.release()

    def close(self) -> None:
        self.closed = True

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(entry.line) for load in self.loads for entry in load]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> GatedKeeper:
    monkeypatch.setattr(keeping, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "PAUSE_SECONDS", 0.0)
    return GatedKeeper()


@pytest.fixture
def log() -> CollectingSink:
    return CollectingSink()


@pytest.fixture
def store(keeper: GatedKeeper, log: CollectingSink) -> Iterator[StoredEvents]:
    store = StoredEvents(keeper, FakeClock().now, log.emit, most=50)
    yield store
    keeper.gate.set()
    store.close()


def changed(account: str = "a@example.test") -> Event:
    return AccountChanged(action="add", account=account, by="root")


def test_an_event_becomes_an_entry_that_can_be_found() -> None:
    event = LoginFailed(
        session="s", door="submission", client="192.0.2.7", account="a", mechanism="PLAIN", reason="x", level="warning"
    )
    entry = EntryMaker().entry(1_767_225_600.5, event)
    assert entry[:-1] == (1_767_225_600.5, "login.failed", "warning", "a", "192.0.2.7", "submission", "")
    line = json.loads(entry.line)
    assert (line["time"], line["event"], line["level"]) == ("2026-01-01T00:00:00.500Z", "login.failed", "warning")


def test_what_is_told_is_written_before_it_closes(keeper, store) -> None:
    for number in range(20):
        store.emit(changed(str(number)))
    keeper.gate.set()
    store.close()
    assert [line["account"] for line in keeper.lines] == [str(n) for n in range(20)]
    assert keeper.closed


def test_old_days_are_looked_for_without_being_asked(keeper, store) -> None:
    keeper.gate.set()
    store.emit(changed())
    assert keeper.tidied.acquire(timeout=20)


def test_nobody_waits_for_a_store_that_is_slow_and_what_is_lost_is_counted(keeper, store, log) -> None:
    store.emit(changed())
    assert keeper.asked.acquire(timeout=20)
    for _ in range(80):
        store.emit(changed())
    keeper.gate.set()
    store.close()
    assert sum(line["event"] == "account.changed" for line in keeper.lines) == 51
    (dropped,) = [line for line in keeper.lines if line["event"] == "events.dropped"]
    assert dropped["count"] == 30
    assert log.one(EventsDropped).count == 30


def test_a_store_that_fails_is_tried_again_and_the_log_hears_of_it_once(keeper, store, log) -> None:
    keeper.failures = 3
    keeper.gate.set()
    store.emit(changed("x"))
    for _ in range(4):
        assert keeper.asked.acquire(timeout=20)
    store.close()
    assert [line["account"] for line in keeper.lines] == ["x"]
    told = log.one(EventsDropped)
    assert told.count == 0
    assert "No space" in told.reason


def test_an_event_that_cannot_be_encoded_takes_no_other_with_it(keeper, store, log) -> None:
    store.emit(ServerChanged(what="x", detail=object()))  # type: ignore[arg-type]
    store.emit(changed())
    keeper.gate.set()
    store.close()
    assert len(keeper.lines) == 1
    assert "ServerChanged" in log.one(EventsDropped).reason


def test_a_flood_is_cut_and_counted(keeper, log) -> None:
    store = StoredEvents(keeper, FakeClock().now, log.emit)
    flood = SessionClosed(session="", door="relay", client="192.0.2.7", reason="http")
    for _ in range(10_000):
        store.emit(flood)
    keeper.gate.set()
    store.close()
    kinds = [line["event"] for line in keeper.lines]
    assert kinds.count("session.closed") == 100
    (told,) = [line for line in keeper.lines if line["event"] == "event.repeated"]
    assert (told["name"], told["times"], told["client"]) == ("session.closed", 9900, "192.0.2.0/24")
    assert [e.name for load in keeper.loads for e in load] == ["session.closed"] * 101
    assert max(map(len, keeper.loads)) <= keeping.LOAD


def test_a_reload_changes_what_is_kept(keeper, store) -> None:
    store.keep(7, 1000)
    assert (keeper.days, keeper.octets) == (7, 1000)


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (changed(), True),
        (LetterAccepted(letter="x"), False),
        (AttemptFinished(letter="x", leg=1, attempt=1, next_hop="local"), False),
        (SessionClosed(session="s", door="relay", client="c", reason="quit"), False),
        (SessionClosed(session="s", door="relay", client="c", reason="injection"), True),
    ],
)
def test_the_log_has_everything_and_the_store_what_somebody_asks_for(event: Event, kept: bool) -> None:
    log, store = CollectingSink(), CollectingSink()
    Both(log, store).emit(event)
    assert log.events == [event]
    assert store.events == [event] * kept
