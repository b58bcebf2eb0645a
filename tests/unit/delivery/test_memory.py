"""What is remembered of hosts."""

from __future__ import annotations

import pytest

from ekiden.delivery import memory
from ekiden.delivery.memory import SECONDS, HostMemory
from ekiden.ports.wire import Endpoint

A, B = Endpoint("20.0.0.1", 25), "/run/lmtp"


def test_for_a_while() -> None:
    hosts = HostMemory()
    hosts.note_failed(A, 0.0)
    hosts.note_plain(B, 0.0)
    assert hosts.has_failed(A, SECONDS - 1)
    assert hosts.is_plain(B, SECONDS - 1)
    assert not hosts.has_failed(B, 1)
    assert not hosts.has_failed(A, SECONDS)
    assert not hosts.is_plain(B, SECONDS)


def test_what_works_again_and_a_new_configuration() -> None:
    hosts = HostMemory()
    hosts.note_failed(A, 0.0)
    hosts.note_plain(A, 0.0)
    hosts.note_works(A)
    assert not hosts.has_failed(A, 1)
    assert hosts.is_plain(A, 1)
    hosts.clear()
    assert not hosts.is_plain(A, 1)


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "HOSTS", 3)
    hosts = HostMemory()
    for number in range(10):
        hosts.note_failed(f"/{number}", 0.0)
        assert len(hosts._failed) <= 3


def test_the_family_that_worked() -> None:
    memory = HostMemory()
    assert memory.family_of("a.test", 0.0) == ""
    memory.note_family("a.test", 0.0, ipv6=True)
    memory.note_family("a.test", 100.0, ipv6=False)
    assert memory.family_of("a.test", 100.0) == "ipv6"
    assert memory.family_of("a.test", SECONDS + 1) == ""  # what was noted while it lasted did not prolong it
    memory.prefer_ipv4("a.test", 100.0)
    assert memory.family_of("a.test", SECONDS + 50) == "ipv4"
    memory.clear()
    assert memory.family_of("a.test", 100.0) == ""
