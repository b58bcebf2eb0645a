"""Content rules at the doors: refused, held and marked letters, from bytes to the spool, without a socket."""

from __future__ import annotations

import pytest

from ekiden.config.model import ContentRule
from ekiden.model.door import Door
from ekiden.model.envelope import LegState
from ekiden.model.events import LetterAccepted, LetterRefused
from ekiden.ports.spool import Selection, SpoolFailed
from tests.fakes.doors import Hall, say
from tests.fakes.letters import archive, letter, rule

ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<ann@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
MACROS = ("a.docm", archive(("word/vbaProject.bin", b"x")))
PROGRAM = ("a.exe", b"MZ" + bytes(50))
HOLD = rule("hold", name="macros", attachment_kind=("macros",))
REFUSE = rule("refuse", name="programs", attachment_kind=("program",))
MARK = rule("mark", name="big", size_over=2000)


async def opened(*rules: ContentRule) -> Hall:
    hall = Hall(content_rule=rules)
    await hall.add("bob")
    return hall


async def send(hall: Hall, raw: bytes, piece: int = 10_000) -> bytes:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    for start in range(0, len(raw), piece):
        await say(wire, raw[start : start + piece])
    return await say(wire, b".\r\n")


async def stored(hall: Hall) -> bytes:
    (queued,) = await hall.spool.find(Selection())
    content = await hall.spool.content(queued.letter)
    assert content is not None
    return b"".join([piece async for piece in content.chunks()])


@pytest.mark.parametrize("piece", [7, 10_000])
async def test_a_refusal_names_the_rule_and_leaves_nothing(piece: int) -> None:
    hall = await opened(HOLD, REFUSE)
    answer = await send(hall, letter(MACROS, PROGRAM), piece)
    assert answer == b"550 5.7.1 Refused by the content rule programs: the attachment a.exe is a program\r\n"
    assert await hall.spool.find(Selection()) == []
    event = hall.events.one(LetterRefused)
    assert (event.rule, event.reason) == ("content-rule programs", "the attachment a.exe is a program")


async def test_a_held_letter_is_taken_and_goes_nowhere() -> None:
    hall = await opened(HOLD, REFUSE)
    assert (await send(hall, letter(MACROS))).startswith(b"250 2.0.0 Queued as ")
    reason = "content rule macros: the attachment a.docm holds macros"
    (queued,) = await hall.spool.find(Selection())
    assert [(leg.state, leg.hold_reason) for leg in queued.legs] == [(LegState.HELD, reason)]
    assert queued.envelope.content_rules == ("macros",)
    assert (hall.offered, hall.nudges) == ([], 0)
    event = hall.events.one(LetterAccepted)
    assert (event.held, event.rules, event.is_kept) == (reason, ["macros"], True)


@pytest.mark.parametrize(("size", "result"), [(10, b"cleared"), (3000, b"matched"), (200_000, b"matched")])
async def test_a_mark_is_on_top_of_each_letter_that_was_asked(size: int, result: bytes) -> None:
    hall = await opened(MARK, HOLD)
    raw = letter(("a.txt", b"x" * size))
    assert (await send(hall, raw)).startswith(b"250")
    octets = await stored(hall)
    assert octets.startswith(b"X-Ekiden-Content-Rule: big; result=" + result + b"\r\nReceived: from ")
    assert octets.endswith(b"\r\n" + raw)
    (queued,) = await hall.spool.find(Selection())
    assert queued.envelope.content_rules == (("big",) if result == b"matched" else ())
    assert queued.envelope.size_octets == len(octets)
    assert octets[: queued.envelope.header_octets].endswith(b"\r\n\r\n")
    assert len(hall.offered) == 1


async def test_a_letter_without_a_body_is_asked_too() -> None:
    hall = await opened(rule("refuse", header=("Subject: spam*",)))
    assert (await send(hall, b"Subject: spam and eggs\r\n")).startswith(b"550 5.7.1 Refused by the content rule r")
    assert (await send(hall, b"Subject: eggs\r\n\r\n")).startswith(b"250")


async def test_rules_of_logins_and_of_other_doors_are_not_asked() -> None:
    theirs = rule(name="a", size_over=1, account=("*",)), rule(name="b", size_over=1, door=("submission",))
    hall = await opened(*theirs)
    assert (await send(hall, letter())).startswith(b"250")
    assert b"X-Ekiden" not in await stored(hall)


async def test_a_store_that_fails_at_the_mark_is_a_temporary_refusal() -> None:
    hall = await opened(MARK)
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    await say(wire, letter(("a.txt", b"x" * 4000)))
    hall.spool.fail_next("write", SpoolFailed("no", full=True))
    assert (await say(wire, b".\r\n")).startswith(b"452 4.3.1")
    assert await hall.spool.find(Selection()) == []
