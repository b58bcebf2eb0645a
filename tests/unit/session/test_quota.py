"""Quotas at the doors: 452 4.2.2 at RCPT, at 25 and at 587, and never for the postmaster."""

from __future__ import annotations

import pytest

from ekiden.config.model import Domain
from ekiden.model.door import Door
from ekiden.model.events import RecipientRefused
from tests.fakes.doors import Hall, say

ALICE = "alice@example.test"


@pytest.fixture(params=[True, False], ids=["cached", "asked"])
async def hall(request) -> Hall:
    hall = Hall(domain=(Domain(name="example.test", mailbox_quota=1000),))
    hall.usage.cached = request.param
    for name in ("alice", "bob", "postmaster"):
        await hall.add(name)
    hall.usage.held = {ALICE: 900, "postmaster@example.test": 5000}
    return hall


async def codes(hall: Hall, *recipients: str, size: str = "") -> list[bytes]:
    wire = hall.knock(Door.RELAY)
    await say(wire, f"EHLO far.test\r\nMAIL FROM:<a@far.test>{size}\r\n".encode())
    return [(await say(wire, f"RCPT TO:<{path}>\r\n".encode()))[:9] for path in recipients]


async def test_who_has_room_and_who_has_not(hall) -> None:
    assert await codes(hall, ALICE, "bob@example.test", size=" SIZE=100") == [b"250 2.1.5", b"250 2.1.5"]
    assert await codes(hall, ALICE, "bob@example.test", size=" SIZE=101") == [b"452 4.2.2", b"250 2.1.5"]
    assert await codes(hall, "Alice+tag@example.test", size=" SIZE=101") == [b"452 4.2.2"]
    assert await codes(hall, ALICE) == [b"250 2.1.5"]
    hall.usage.held[ALICE] = 1000
    assert await codes(hall, ALICE) == [b"452 4.2.2"]
    assert hall.events.of(RecipientRefused)[-1].rule == "quota"


async def test_the_postmaster_is_always_reached(hall) -> None:
    assert await codes(hall, "postmaster@example.test", "Postmaster", size=" SIZE=500") == [b"250 2.1.5"] * 2
