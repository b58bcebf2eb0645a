"""The rates' file: bounded, shared by bucket, and never too generous whatever stands in it."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from ekiden.ports.slots import SlotsFailed
from ekiden.storage.machine import rates as module
from ekiden.storage.machine.locks import ByteLocks
from ekiden.storage.machine.rates import BUSY, PLACES, Rates
from ekiden.storage.machine.slots import RATES_FILE, MachineSlots
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUCKETS", 1)  # everything meets
    return tmp_path / "rates"


@pytest.fixture
def rates(path, clock):
    rates = Rates(path, clock.monotonic)
    yield rates
    rates.close()


def test_a_full_bucket_makes_new_rates_wait(rates, clock, path) -> None:
    for number in range(PLACES):
        assert rates.spend(f"rate {number}", 1, 1).granted == 1
        clock.advance(0.5)
    late = rates.spend("one more", 1, 1)
    assert late.granted == 0
    assert rates.spend("rate 5", 1, 1).granted == 0
    clock.advance(late.wait + 0.001)
    assert rates.spend("one more", 1, 1).granted == 1
    assert rates.spend("and one", 1, 1).granted == 0
    assert path.stat().st_size <= PLACES * 16


def test_what_is_past_makes_place(rates, clock, path) -> None:
    for number in range(PLACES * 5):
        assert rates.spend(f"rate {number}", 600, 10).granted == 10
        clock.advance(1.1)
    assert path.stat().st_size <= PLACES * 16


def test_a_rate_is_found_behind_a_place_that_became_free(rates, clock) -> None:
    assert rates.spend("short", 6000, 1).granted == 1
    assert rates.spend("long", 1, 1).granted == 1
    clock.advance(2)
    assert rates.spend("long", 1, 1).granted == 0
    assert rates.spend("other", 1, 1).granted == 1
    assert rates.spend("long", 1, 1).granted == 0


@pytest.mark.parametrize("when", [float("nan"), float("inf"), float("-inf"), 1e300, -5.0, 1000.0 + 1e6])
def test_times_that_nobody_wrote_say_nothing(rates, path, when) -> None:
    path.write_bytes(struct.pack("=Qd", 77, when) * PLACES)
    assert rates.spend("rate", 1, 1).granted == 1
    assert rates.spend("rate", 1, 1).granted == 0


def test_a_torn_file_is_as_good_as_none(rates, path) -> None:
    path.write_bytes(b"x" * 21)
    assert rates.spend("rate", 1, 1).granted == 1
    assert rates.spend("rate", 1, 1).granted == 0


def test_another_boot_starts_anew(rates, path, clock, monkeypatch) -> None:
    assert rates.spend("rate", 1, 1).granted == 1
    monkeypatch.setattr(module, "_boot_id", lambda: b"another")
    again = Rates(path, clock.monotonic)
    assert again.spend("rate", 1, 1).granted == 1
    again.close()


def test_a_bucket_that_somebody_is_at_is_not_waited_for(rates, path) -> None:
    other = ByteLocks(path)
    assert other.lock(0)
    assert rates.spend("rate", 1, 1) == (0, BUSY)
    other.unlock(0)
    assert rates.spend("rate", 1, 1).granted == 1
    other.close()


async def test_a_full_disk_grants_nothing(tmp_path, clock, monkeypatch) -> None:
    slots = MachineSlots(tmp_path / "slots", clock.monotonic)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(SlotsFailed, match="No space left"):
            await slots.spend("rate", 1, 1)
    assert (await slots.spend("rate", 1, 1)).granted == 1
    assert (tmp_path / "slots" / RATES_FILE).stat().st_mode & 0o777 == 0o600
    slots.close()


async def test_a_kernel_without_locks_gives_nothing(tmp_path, clock, monkeypatch) -> None:
    slots = MachineSlots(tmp_path / "slots", clock.monotonic)

    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(ByteLocks, "lock", none)
        with pytest.raises(SlotsFailed, match="No locks available"):
            await slots.take("site", 1)
    slot = await slots.take("site", 1)
    with monkeypatch.context() as patch:
        patch.setattr(ByteLocks, "unlock", none)
        slots.give(slot)
    slots.close()
