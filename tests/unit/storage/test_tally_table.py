"""Records in shared memory: what makes room, what is never mixed up, and what a snapshot brings back."""

from __future__ import annotations

import os
import random

import pytest

from ekiden.storage.machine import tally as module
from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.snapshot import GAP, RUN, Snapshots
from ekiden.storage.machine.table import KEY, NUMBERS, RECORDS, Table
from ekiden.storage.machine.tally import MachineTally
from ekiden.storage.machine.tally_memory import LEVELS, PAGE, PAGES, TallyMemory

PLACE = 7 + 3 * LEVELS[0]


@pytest.fixture
def memory():
    return TallyMemory(2)


@pytest.fixture
def locks(tmp_path):
    made = ByteLocks(tmp_path / "lock")
    yield made
    made.close()


@pytest.fixture
def table(memory, locks):
    return Table(memory.table, memory.dirty, locks)


def key(number: int) -> bytes:
    return number.to_bytes(KEY, "big")


def numbers(number: int) -> tuple[int, ...]:
    return tuple(range(number, number + NUMBERS))


def test_three_levels_hold_three_buckets_full(table) -> None:
    for number in range(1, 3 * RECORDS + 1):
        table.write(key(number), PLACE, 0, 100 + number, numbers(number))
    for number in range(1, 3 * RECORDS + 1):
        assert table.read(key(number), PLACE, 50) == numbers(number)
        assert table.until(key(number), PLACE) == 100 + number


def test_what_would_be_forgotten_first_makes_room(table) -> None:
    for number in range(1, 3 * RECORDS + 1):
        table.write(key(number), PLACE, 0, 1000 - number, numbers(number))
    table.write(key(9999), PLACE, 0, 500, numbers(1))
    assert table.read(key(9999), PLACE, 50) == numbers(1)
    assert table.read(key(3 * RECORDS), PLACE, 50) is None
    assert sum(table.read(key(number), PLACE, 50) is not None for number in range(1, 3 * RECORDS + 1)) == 62


def test_what_is_over_makes_room_first(table) -> None:
    for number in range(1, RECORDS + 1):
        table.write(key(number), PLACE, 0, 100 if number == 5 else 900, numbers(number))
    table.write(key(77), PLACE, 100, 300, numbers(77))
    assert table.read(key(5), PLACE, 100) is None
    assert table.until(key(5), PLACE) == 0, "its place was taken, in the first level"
    assert table.read(key(77), PLACE, 100) == numbers(77)


def test_a_key_is_changed_where_it_is(table, memory) -> None:
    for number in range(1, 2 * RECORDS + 1):
        table.write(key(number), PLACE, 0, 200 if number == 1 else 900, numbers(number))
    last = 2 * RECORDS  # in the second level, and the first has room now
    table.write(key(last), PLACE, 200, 950, numbers(5))
    assert memory.table[:].count(key(last)) == 1
    table.erase(key(last), PLACE)
    assert table.read(key(last), PLACE, 200) is None


def test_keys_are_found_only_where_keys_begin(table) -> None:
    table.write(b"aaaabbbb", PLACE, 0, 100, numbers(1))
    table.write(b"ccccdddd", PLACE, 0, 100, numbers(2))
    assert table.read(b"bbbbcccc", PLACE, 0) is None
    table.write(b"bbbbcccc", PLACE, 0, 100, numbers(3))
    assert [table.read(k, PLACE, 0) for k in (b"aaaabbbb", b"bbbbcccc", b"ccccdddd")] == [
        numbers(1),
        numbers(3),
        numbers(2),
    ]


def test_random_records_against_a_dictionary(table) -> None:
    chance = random.Random(3)
    known: dict[int, tuple[int, tuple[int, ...]]] = {}
    for now in range(5000):
        number = chance.randrange(1, 400)
        place = number * 7919
        if chance.random() < 0.1:
            table.erase(key(number), place)
            known.pop(number, None)
        else:
            until, what = now + chance.randrange(1, 300), numbers(chance.randrange(1000))
            table.write(key(number), place, now, until, what)
            known[number] = (until, what)
        asked = chance.randrange(1, 400)
        until, what = known.get(asked, (0, ()))
        assert table.read(key(asked), asked * 7919, now) == (what if until > now else None)


# ---- snapshots


class Machine:
    """`boot`: another start of the server, perhaps of the machine."""

    def __init__(self, folder):
        self.folder = folder / "guards"
        self.uptime = 1000.0
        self.wall = 1_800_000_000.0
        self.open: list[MachineTally] = []

    def boot(self, uptime: float = 10.0):
        self.uptime = uptime
        self.memory = TallyMemory(2)
        return self.worker(0)

    def worker(self, number: int):
        tally = MachineTally(self.folder, self.memory, number, lambda: self.uptime)
        tally.snapshots._wall = lambda: self.wall
        self.open.append(tally)
        return tally

    def pass_time(self, seconds: float) -> None:
        self.uptime += seconds
        self.wall += seconds


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path)
    monkeypatch.setattr(module, "Snapshots", lambda *given: Snapshots(*given, lambda: made.wall))
    yield made
    for tally in made.open:
        tally._locks.close()


def test_counts_go_on_after_a_restart_of_the_machine(machine) -> None:
    tally = machine.boot(uptime=50_000)
    tally.add("a day", 86_400, 5)
    tally.remember("thirty days", 30 * 86_400)
    tally.add("a minute", 60, 9)
    tally.enter("there")
    tally.close()
    machine.wall += 3600
    again = machine.boot(uptime=7)
    assert again.count("a day", 86_400) == 5
    assert again.recall("thirty days") == pytest.approx(3600, abs=1)
    assert again.count("a minute", 60) == 0
    assert again.inside("there") == 0
    machine.pass_time(86_400)
    assert again.recall("thirty days") == pytest.approx(90_000, abs=1)
    machine.pass_time(86_400 / 7)
    assert again.count("a day", 86_400) == 0


def test_a_wall_clock_that_was_set_back_makes_nothing_older(machine) -> None:
    tally = machine.boot()
    tally.add("count", 3600, 5)
    tally.close()
    machine.wall -= 10**8
    again = machine.boot()
    assert again.count("count", 3600) == 5
    machine.pass_time(3600 * 8 / 7)
    assert again.count("count", 3600) == 0, "nor is it kept for longer"


def test_only_what_has_changed_is_written(machine) -> None:
    tally = machine.boot()
    tally.add("one", 3600)
    assert tally.snapshots.save() == 1
    assert tally.snapshots.save() == 0
    tally.add("one", 3600)
    assert tally.snapshots.save() == 1
    for number in range(2000):
        tally.add(str(number), 3600)
    assert tally.snapshots.save() <= LEVELS[0] * 1024 // PAGE + 2, "few keys are few pages"


def test_every_changed_page_is_in_some_run(machine) -> None:
    tally = machine.boot()
    chance = random.Random(1)
    for share in (0.001, 0.3, 0.9, 1.0):
        changed = {page for page in range(PAGES) if chance.random() < share} | {0, PAGES - 1}
        for page in changed:
            machine.memory.dirty[page] = 1
        runs = list(tally.snapshots._changed())
        assert all(last - first <= RUN + GAP for first, last in runs)
        covered = {page for first, last in runs for page in range(first, last)}
        assert changed <= covered
        assert machine.memory.dirty.find(b"\1") < 0


def test_one_worker_takes_snapshots_and_another_when_it_is_dead(machine) -> None:
    first = machine.boot()
    second = machine.worker(1)
    first.add("one", 3600)
    assert first.snapshots.save() == 1
    second.add("one", 3600)
    assert second.snapshots.save() == 0
    first._locks.close()
    assert second.snapshots.save() == 1
    assert machine.boot().count("one", 3600) == 2


def test_a_disk_that_takes_nothing_loses_nothing(machine, monkeypatch) -> None:
    tally = machine.boot()
    tally.add("one", 3600)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="no snapshot"):
            tally.snapshots.save()
    assert tally.add("one", 3600) == 2
    assert tally.snapshots.save() == 1


@pytest.mark.parametrize("octets", [b"", b"EKTALLY1", b"EKTALLY0" + bytes(100), os.urandom(9000)])
def test_a_file_that_is_not_ours_counts_for_nothing(machine, octets) -> None:
    machine.folder.mkdir()
    (machine.folder / module.SNAPSHOT_FILE).write_bytes(octets)
    tally = machine.boot()
    assert tally.add("one", 3600) == 1
    tally.close()
    assert machine.boot().count("one", 3600) == 1


def test_the_file_is_for_its_owner_and_has_no_names(machine) -> None:
    tally = machine.boot()
    tally.add("192.0.2.77", 3600)
    tally.add_distinct("guesses", b"item", 3600)
    tally.close()
    path = machine.folder / module.SNAPSHOT_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    octets = path.read_bytes()
    assert b"192.0.2.77" not in octets
    assert machine.memory.item_secret not in octets
    assert machine.memory.name_secret in octets
