"""OAUTHBEARER and XOAUTH2 at the doors: offered only with an issuer and under TLS, and how a refusal goes."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode

import pytest

from ekiden.accounts.login import Authenticator
from ekiden.model.door import Door
from ekiden.model.events import LoginFailed, LoginSucceeded
from ekiden.ports.tokens import TokenFault
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from tests.fakes.clock import FakeRandom
from tests.fakes.doors import Hall, say
from tests.fakes.pop3_house import Pop3House
from tests.fakes.tokens import FakeTokens

ALICE = "alice@example.test"
TOKENS = FakeTokens({"good": ALICE, "later": TokenFault.KEYS, "poor": TokenFault.SCOPE})
EHLO = b"EHLO client.example.org\r\n"
CAPABILITIES = b"OAUTHBEARER XOAUTH2"


def oauthbearer(token: str) -> bytes:
    return b64encode(f"n,a={ALICE},\x01host=mail.example.test\x01auth=Bearer {token}\x01\x01".encode())


def xoauth2(token: str) -> bytes:
    return b64encode(f"user={ALICE}\x01auth=Bearer {token}\x01\x01".encode())


@pytest.fixture
async def hall() -> Hall:
    hall = Hall(TOKENS)
    await hall.add("alice")
    return hall


async def test_offered_only_with_an_issuer_and_under_tls(hall: Hall) -> None:
    assert CAPABILITIES in await say(hall.knock(Door.SUBMISSIONS), EHLO)
    assert b"AUTH" not in await say(hall.knock(Door.SUBMISSION), EHLO)
    assert b"AUTH" not in await say(hall.knock(Door.RELAY, tls=True), EHLO)
    assert b"BEARER" not in await say(Hall().knock(Door.SUBMISSIONS), EHLO)
    wire = Hall().knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    assert (await say(wire, b"AUTH OAUTHBEARER " + oauthbearer("good") + b"\r\n")).startswith(b"504 5.5.4 ")


@pytest.mark.parametrize(("name", "message"), [("OAUTHBEARER", oauthbearer), ("XOAUTH2", xoauth2)])
async def test_a_good_token(hall: Hall, name: str, message) -> None:
    for initial in (True, False):
        wire = hall.knock(Door.SUBMISSIONS)
        await say(wire, EHLO)
        if initial:
            answer = await say(wire, b"AUTH %s %s\r\n" % (name.encode(), message("good")))
        else:
            assert await say(wire, b"AUTH %s\r\n" % name.encode()) == b"334 \r\n"
            answer = await say(wire, message("good") + b"\r\n")
        assert answer.startswith(b"235 2.7.0 ")
        assert (await say(wire, b"MAIL FROM:<alice@example.test>\r\n")).startswith(b"250 ")
    first, second = hall.events.of(LoginSucceeded)
    assert (first.account, first.mechanism) == (second.account, second.mechanism) == (ALICE, name)


@pytest.mark.parametrize("end", [b"AQ==", b"", b64encode(b"anything")])
async def test_a_bad_token_gets_its_reason_and_then_535(hall: Hall, end: bytes) -> None:
    """RFC 7628 §3.2.3: the client answers the error with %x01; XOAUTH2 with an empty line."""
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    challenge = await say(wire, b"AUTH OAUTHBEARER " + oauthbearer("forged") + b"\r\n")
    assert challenge.startswith(b"334 ")
    assert json.loads(b64decode(challenge[4:])) == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": TOKENS.discovery,
    }
    assert (await say(wire, end + b"\r\n")).startswith(b"535 5.7.8 ")
    failed = hall.events.one(LoginFailed)
    assert (failed.account, failed.mechanism, failed.reason) == (ALICE, "OAUTHBEARER", "token-signature")
    assert (await say(wire, b"AUTH XOAUTH2 " + xoauth2("good") + b"\r\n")).startswith(b"235 ")


async def test_a_scope_that_is_missing(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    challenge = await say(wire, b"AUTH OAUTHBEARER " + oauthbearer("poor") + b"\r\n")
    assert json.loads(b64decode(challenge[4:]))["status"] == "insufficient_scope"


async def test_who_gives_up_or_goes_away_has_failed_all_the_same(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    for _ in range(2):
        await say(wire, b"AUTH XOAUTH2 " + xoauth2("forged") + b"\r\n")
        assert (await say(wire, b"*\r\n")).startswith(b"501 ")
    await say(wire, b"AUTH XOAUTH2 " + xoauth2("forged") + b"\r\n")
    assert len(hall.events.of(LoginFailed)) == 3
    assert (await say(wire, b"\r\n")).startswith(b"421 4.7.0 ")
    assert wire.is_closing


async def test_who_gives_up_the_last_time_is_told_to_go(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    for _ in range(3):
        await say(wire, b"AUTH XOAUTH2 " + xoauth2("forged") + b"\r\n")
        answer = await say(wire, b"*\r\n")
    assert b"421 4.7.0 " in answer
    assert wire.is_closing


async def test_an_issuer_that_is_silent_is_no_wrong_token(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    assert (await say(wire, b"AUTH OAUTHBEARER " + oauthbearer("later") + b"\r\n")).startswith(b"454 4.7.0 ")
    assert hall.events.one(LoginFailed).reason == "issuer-silent"


async def test_malformed_ones_are_501(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, EHLO)
    assert (await say(wire, b"AUTH OAUTHBEARER " + xoauth2("good") + b"\r\n")).startswith(b"501 5.5.2 ")


async def test_pop3() -> None:
    house = await Pop3House().begin()
    domains = ["example.test"]
    authenticator = Authenticator(
        house.directory, house.hasher, house.clock, FakeRandom(), MemoryKnownPairs(), domains, tokens=TOKENS
    )
    doorway = dataclasses.replace(house.doorway, authenticator=authenticator, mechanisms=authenticator.mechanisms)
    visit = house.visit(doorway=doorway)
    visit.wire.take()
    assert CAPABILITIES.decode() in await visit.say("CAPA")
    challenge = await visit.say("AUTH OAUTHBEARER " + oauthbearer("forged").decode())
    assert json.loads(b64decode(challenge[2:]))["status"] == "invalid_token"
    assert (await visit.say("AQ==")).startswith("-ERR [AUTH] ")
    assert (await visit.say("AUTH XOAUTH2 " + xoauth2("good").decode())).startswith("+OK ")


async def test_pop3_ends_who_gives_up_too_often() -> None:
    house = await Pop3House().begin()
    domains = ["example.test"]
    authenticator = Authenticator(
        house.directory, house.hasher, house.clock, FakeRandom(), MemoryKnownPairs(), domains, tokens=TOKENS
    )
    visit = house.visit(
        doorway=dataclasses.replace(house.doorway, authenticator=authenticator, mechanisms=("XOAUTH2",))
    )
    visit.wire.take()
    for _ in range(3):
        await visit.say("AUTH XOAUTH2 " + xoauth2("forged").decode())
        await visit.say("*")
    assert visit.wire.is_closing
