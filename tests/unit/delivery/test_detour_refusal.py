"""What a detour's server says of our senders: the letter is held and the postmaster told, never bounced."""

from __future__ import annotations

from typing import Any

import pytest

from ekiden.model.envelope import LegState
from ekiden.model.events import DetourRefused
from tests.unit.delivery.blocked_town import (
    Town,
    blocked_town,
    config,
    detour,
)


@pytest.mark.parametrize(
    "script",
    [
        {"MAIL": "550 5.7.1 not one of your addresses"},
        {"RCPT": "553 5.7.1 <alice@example.test>: Sender address rejected: not owned by user us"},
        {".": "554 5.2.252 SendAsDenied"},
    ],
)
async def test_a_refused_sender_is_held_and_told_never_bounced(script: dict[str, Any]) -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        await office.pass_time(5)
        office.provider.script |= script
        letter = await office.send("x@a.test", "y@a.test")
        await office.settle()
        (queued,) = await office.queued(letter)
        (leg,) = queued.legs
        assert (leg.state, leg.next_attempt) == (LegState.HELD, None)
        assert leg.hold_reason.startswith("detour: smtp.provider.test does not take <alice@example.test>")
        assert office.reports == []
        (event,) = office.events.of(DetourRefused)
        assert event.reverse_path == "alice@example.test"
        await office.pass_time(5)
        told = [text for text in office.mailbox("alice@example.test") if b"Held:" in text]
        assert len(told) == 1
        await office.send("z@a.test")
        await office.pass_time(5)
        assert len([text for text in office.mailbox("alice@example.test") if b"Held:" in text]) == 1


async def test_other_refusals_of_the_provider_fail_as_ever() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        office.provider.script |= {"RCPT": "550 5.1.1 no such user"}
        letter = await office.send("x@a.test")
        await office.settle()
        assert await office.queued(letter) == []
        assert office.reports == [("failed", "alice@example.test")]


async def test_one_recipient_may_fail_while_another_is_held() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        office.provider.script |= {
            "RCPT TO:<X": "550 5.1.1 no such user",
            "RCPT TO:<Y": "553 5.7.1 Sender address rejected: not owned by user us",
        }
        letter = await office.send("x@a.test", "y@a.test")
        await office.settle()
        (queued,) = await office.queued(letter)
        assert [recipient.forward_path for recipient in queued.legs[0].recipients] == ["y@a.test"]
        assert office.reports == [("failed", "alice@example.test")]


async def test_a_refused_sender_is_held_even_when_the_time_is_over() -> None:
    async with Town(config(detour=detour(), expire_after=3000.0)) as office:
        await blocked_town(office)
        await office.pass_time(5)
        office.provider.script |= {"MAIL": "450 4.7.1 later"}
        letter = await office.send("x@a.test")
        await office.pass_time(2900, step=10)
        office.provider.script |= {"MAIL": "550 5.7.1 not yours"}
        office.clock.advance(200)
        await office.pass_time(7200, step=10)
        (queued,) = await office.queued(letter)
        assert queued.legs[0].state is LegState.HELD
        assert ("failed", "alice@example.test") not in office.reports


async def test_direct_hosts_may_refuse_our_sender_as_ever() -> None:
    async with Town() as office:
        office.build()
        office.far["a.test"].script = {"MAIL": "550 5.7.1 not here"}
        letter = await office.send("x@a.test")
        await office.settle()
        assert await office.queued(letter) == []
        assert office.reports == [("failed", "alice@example.test")]
