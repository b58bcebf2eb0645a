"""Events of the supervisor and of commands: written at once, tried again, and never waited for."""

from __future__ import annotations

from ekiden.app.direct_events import DirectEvents, SupervisorEvents
from ekiden.model.events import AccountChanged, LetterAccepted
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink


class FailingKeeper:
    def __init__(self) -> None:
        self.failures = 0
        self.entries = []
        self.open = False

    def write(self, entries) -> None:
        self.open = True
        if self.failures:
            self.failures -= 1
            raise TimeoutError
        self.entries += entries

    def close(self) -> None:
        self.open = False


def changed(account):
    return AccountChanged(action="add", account=account, by="root")


def test_each_event_is_written_and_nothing_stays_open():
    keeper = FailingKeeper()
    sink = DirectEvents(keeper, FakeClock().now)
    sink.emit(changed("a"))
    sink.emit(LetterAccepted(letter="x"))
    assert [entry.account for entry in keeper.entries] == ["a"]
    assert not keeper.open


def test_what_could_not_be_written_comes_with_the_next():
    keeper = FailingKeeper()
    sink = DirectEvents(keeper, FakeClock().now)
    keeper.failures = 1
    sink.emit(changed("a"))
    assert not keeper.open
    sink.emit(changed("b"))
    sink.emit(changed("c"))
    assert [entry.account for entry in keeper.entries] == ["a", "b", "c"]


def test_a_store_that_never_works_takes_no_memory():
    keeper = FailingKeeper()
    keeper.failures = 10_000
    sink = DirectEvents(keeper, FakeClock().now)
    for _ in range(2000):
        sink.emit(changed("a"))
    assert len(sink._pending) == 1000


def test_the_log_of_the_supervisor_hears_everything():
    class Log(CollectingSink):
        path = None

        def reopen(self, path=""):
            self.path = path

    log, keeper = Log(), FailingKeeper()
    both = SupervisorEvents(log, DirectEvents(keeper, FakeClock().now))
    both.emit(changed("a"))
    both.reopen("new.log")
    assert len(log.events) == len(keeper.entries) == 1
    assert log.path == "new.log"
