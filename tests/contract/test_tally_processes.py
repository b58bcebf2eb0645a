"""One machine's counts between real processes: hammered, and killed in the middle."""

from __future__ import annotations

import os
import signal

from ekiden.storage.machine.tally import MachineTally
from ekiden.storage.machine.tally_memory import TallyMemory
from tests.contract.test_slots_processes import end, start, wait_for

NAME = "limit"
PROCESSES = 4


def test_no_count_is_lost_and_none_is_doubled(tmp_path) -> None:
    memory = TallyMemory(PROCESSES + 1)
    ours = MachineTally(tmp_path / "guards", memory, PROCESSES)

    def hammer(number: int) -> None:
        tally = MachineTally(tmp_path / "guards", memory, number)
        for turn in range(3000):
            tally.add(NAME, 86_400)
            tally.add(f"{number}:{turn}", 86_400)  # moves records about in the same buckets
            tally.add_distinct("distinct", b"%d" % (turn % 50), 86_400)
            tally.enter(NAME)

    for pid in [start(lambda n=number: hammer(n)) for number in range(PROCESSES)]:
        end(pid)
    # who waits too long for a processor that another has goes on without the lock: one in a thousand, at most
    assert PROCESSES * 2990 <= ours.count(NAME, 86_400) <= PROCESSES * 3000
    assert 50 <= ours.count("distinct", 86_400) <= 52
    assert ours.inside(NAME) == PROCESSES * 3000
    memory.free(2)
    assert ours.inside(NAME) == (PROCESSES - 1) * 3000
    ours.close()


def test_a_worker_that_was_killed_within_a_step_stops_nobody(tmp_path) -> None:
    memory = TallyMemory(2)
    ours = MachineTally(tmp_path / "guards", memory, 0)
    reading, writing = os.pipe()

    def hold() -> None:
        tally = MachineTally(tmp_path / "guards", memory, 1)
        for place in range(512):
            assert tally._table.lock(place)
        os.write(writing, b"!")
        signal.pause()

    pid = start(hold)
    wait_for(reading)
    assert ours.add(NAME, 60) == 1, "a stopped one holds nobody up"
    end(pid, kill=True)
    assert ours.add(NAME, 60) == 2
    assert ours._table.lock(0)
    ours.close()
