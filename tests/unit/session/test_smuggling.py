"""Smuggling (RFC 5321 §4.1.1.4: only CRLF.CRLF ends DATA): every known sequence, from everybody who may send.

At most one transaction comes of it, and what is stored is looked at octet by octet: as it would be passed on, it ends
once for every reader. The sequences are those of the known tools (`tests/suites.py`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ekiden.model.door import Door
from ekiden.ports.spool import Selection
from tests.fakes.doors import PASSWORD, Hall, say
from tests.fakes.smtp_talk import Talk, letter
from tests.fakes.wire import FakeWire
from tests.suites import FOLDER, MISSING, suite

FILE = "smtp/smuggling-sequences.json"
FIRST = b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
SECOND = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: two\r\n\r\nsmuggled"
HEADER = b"From: alice@example.test\r\nSubject: one\r\n\r\n"
CLIENTS = ("stranger", "trusted", "login")


def _material() -> dict[str, Any]:
    path = FOLDER / FILE
    return json.loads(path.read_text()) if path.exists() else {"not_end_of_data": [], "outbound": []}


MATERIAL = _material()
SEQUENCES = [pytest.param(bytes.fromhex(one["hex"]), id=one["id"]) for one in MATERIAL["not_end_of_data"]]
BODIES = [one["bad_body"].encode().decode("unicode_escape").encode("latin-1") for one in MATERIAL["outbound"]]
if not SEQUENCES:
    lacking = pytest.mark.skip(reason=f"{MISSING}: {FILE}")
    SEQUENCES, BODIES = [pytest.param(b"", marks=lacking)], [pytest.param(b"", marks=lacking)]


@pytest.fixture
async def hall() -> Hall:
    hall = Hall()
    for name in ("alice", "bob"):
        await hall.add(name)
    return hall


async def enter(hall: Hall, who: str) -> FakeWire:
    """A connection that may say MAIL."""
    if who != "login":
        wire = hall.knock(Door.RELAY, client="10.0.0.7" if who == "trusted" else "192.0.2.1")
        await say(wire, b"EHLO c.test\r\n")
        return wire
    from ekiden.proto.sasl.plain import render_plain

    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c.test\r\n")
    answer = await say(wire, b"AUTH PLAIN " + render_plain("alice@example.test", PASSWORD) + b"\r\n")
    assert answer.startswith(b"235")
    return wire


async def stored(hall: Hall) -> list[bytes]:
    found = []
    for queued in await hall.spool.find(Selection()):
        content = await hall.spool.content(queued.letter)
        assert content is not None
        assert content.octets is not None
        found.append(content.octets)
    return found


def passed_on(octets: bytes) -> bytes:
    """What a next hop gets behind its 354, as our client says it."""
    talk = Talk().greet("8BITMIME", "SIZE")
    talk.client.send(letter(octets=octets))
    talk.said()
    talk.server(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
    return talk.said()


def ends_once(data: bytes) -> bool:
    """For a reader who takes any mix of CR and LF around a dot for an end, there is one, at the end."""
    body = data.removesuffix(b"\r\n.\r\n")
    assert body != data
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"").split(b"\n")
    return b"." not in lines


@pytest.mark.parametrize("who", CLIENTS)
@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("pieces", ["one read", "octet by octet"])
async def test_one_transaction_at_most(hall: Hall, who: str, sequence: bytes, pieces: str) -> None:
    wire = await enter(hall, who)
    assert (await say(wire, FIRST)).splitlines()[-1].startswith(b"354")
    content = HEADER + b"first" + sequence + SECOND + b"\r\n.\r\n"
    if pieces == "one read":
        answer = await say(wire, content)
    else:
        wire.feed_split(content)
        answer = await say(wire, b"")
    letters = await stored(hall)
    assert len(letters) == answer.count(b"250 2.0.0 Queued as ")
    assert b"354" not in answer, "a second letter was begun"
    if who == "stranger":
        assert answer.startswith(b"550 5.5.2")
    if answer.startswith(b"5"):
        assert letters == []
        return
    (octets,) = letters
    assert octets.replace(b"\r\n", b"").translate(None, b"\r\n\0") == octets.replace(b"\r\n", b"")
    assert octets.endswith(SECOND + b"\r\n"), "all of it is content"
    assert ends_once(passed_on(octets))


@pytest.mark.parametrize("who", CLIENTS)
@pytest.mark.parametrize("body", BODIES)
async def test_what_comes_by_bdat_leaves_in_one_piece(hall: Hall, who: str, body: bytes) -> None:
    """Chunks have a length, so anything may be in them (RFC 3030); the next hop may get it by DATA."""
    wire = await enter(hall, who)
    await say(wire, FIRST.removesuffix(b"DATA\r\n"))
    content = HEADER + body
    answer = await say(wire, b"BDAT %d LAST\r\n" % len(content) + content)
    letters = await stored(hall)
    assert len(letters) == answer.count(b"250 2.0.0 Queued as ")
    for octets in letters:
        assert octets.replace(b"\r\n", b"").translate(None, b"\r\n\0") == octets.replace(b"\r\n", b"")
        assert ends_once(passed_on(octets))


async def test_a_second_letter_behind_the_first_waits_for_its_354(hall: Hall) -> None:
    """What is pipelined behind the end is a transaction of its own, up to DATA; its content before our 354 is none."""
    wire = await enter(hall, "stranger")
    await say(wire, FIRST)
    answer = await say(wire, HEADER + b"first\r\n.\r\n" + FIRST + HEADER + b"early\r\n.\r\nQUIT\r\n")
    assert answer.count(b"250 2.0.0 Queued as ") == 1
    assert answer.splitlines()[-1].startswith(b"554 5.5.0")
    assert len(await stored(hall)) == 1


def test_the_material_is_read_where_it_is() -> None:
    assert suite(FILE)
    assert len(SEQUENCES) >= 12
    assert len(BODIES) >= 8
