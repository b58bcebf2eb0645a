"""Logins at both protocols' doors: mechanisms of several steps, what a client hears when one fails, and the events."""

from __future__ import annotations

from base64 import b64decode, b64encode

import msgspec
import pytest

from ekiden.model.door import Door
from ekiden.model.events import LoginFailed, LoginSucceeded
from ekiden.ports.wire import TlsFacts
from tests.fakes.doors import Hall, say
from tests.fakes.pop3_house import ALICE, Pop3House, Visit
from tests.fakes.scram import PLUS, SCRAM, ScramPeer, app_password, verifier
from tests.fakes.wire import FakeWire

APP = "abcd-efgh-jkmn-pqrs-tuvw-xyz2"
PASSWORD = "wonderland"
NO_BINDING = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


async def knows_scram(hall: Hall | Pop3House) -> None:
    """alice's account as `ekiden account add` would have made it, with one app password for fetching."""
    account = await hall.directory.account(ALICE)
    await hall.directory.change_account(msgspec.structs.replace(account, scram=verifier(PASSWORD)))
    await hall.directory.add_app_password(ALICE, app_password(APP, "aaaa", scopes=("fetch",)))


@pytest.fixture
async def hall() -> Hall:
    hall = Hall()
    await hall.add("alice", PASSWORD)
    await knows_scram(hall)
    return hall


@pytest.fixture
async def house() -> Pop3House:
    house = await Pop3House().begin(b"Subject: hi\r\n\r\nhello\r\n")
    await knows_scram(house)
    return house


class SmtpTalk:
    """SASL over SMTP (RFC 4954)."""

    def __init__(self, wire: FakeWire) -> None:
        self.wire = wire

    async def line(self, octets: bytes) -> bytes:
        return await say(self.wire, octets + b"\r\n")

    @staticmethod
    def challenge(answer: bytes) -> bytes:
        assert answer.startswith(b"334 "), answer
        return b64decode(answer[4:])


class Pop3Talk(SmtpTalk):
    """SASL over POP3 (RFC 5034)."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit.wire)
        self.visit = visit

    async def line(self, octets: bytes) -> bytes:
        return await self.visit.send(octets + b"\r\n")

    @staticmethod
    def challenge(answer: bytes) -> bytes:
        assert answer.startswith(b"+ "), answer
        return b64decode(answer[2:])


async def scram(talk: SmtpTalk, peer: ScramPeer, name: str = SCRAM) -> bytes:
    """The last answer."""
    first = await talk.line(f"AUTH {name} ".encode() + b64encode(peer.first))
    answer = await talk.line(b64encode(peer.answer(talk.challenge(first))))
    if answer.startswith((b"334", b"+ ")):
        peer.verify(talk.challenge(answer))
        answer = await talk.line(b"")
    return answer


async def submission(hall: Hall) -> SmtpTalk:
    talk = SmtpTalk(hall.knock(Door.SUBMISSIONS))
    await talk.line(b"EHLO c")
    return talk


@pytest.mark.parametrize("name", [SCRAM, PLUS])
async def test_scram_at_a_submission_door(hall: Hall, name: str) -> None:
    talk = await submission(hall)
    assert (await scram(talk, ScramPeer(ALICE, PASSWORD, name), name)).startswith(b"235 2.7.0")
    event = hall.events.one(LoginSucceeded)
    assert (event.account, event.mechanism, event.app_password) == (ALICE, name, "")
    assert (await talk.line(b"MAIL FROM:<alice@example.test>")).startswith(b"250")


@pytest.mark.parametrize("name", [SCRAM, PLUS])
async def test_scram_at_a_pop3_door(house: Pop3House, name: str) -> None:
    talk = Pop3Talk(house.visit())
    talk.wire.take()
    assert (await scram(talk, ScramPeer(ALICE, APP, name), name)).startswith(b"+OK 1 message")
    event = house.events.one(LoginSucceeded)
    assert (event.account, event.mechanism, event.app_password) == (ALICE, name, "aaaa")


async def test_before_the_last_word_nobody_is_in(hall: Hall, house: Pop3House) -> None:
    talk = await submission(hall)
    peer = ScramPeer(ALICE, PASSWORD)
    first = await talk.line(b"AUTH SCRAM-SHA-256 " + b64encode(peer.first))
    await talk.line(b64encode(peer.answer(talk.challenge(first))))
    assert (await talk.line(b"*")).startswith(b"501 5.7.0")
    assert (await talk.line(b"MAIL FROM:<alice@example.test>")).startswith(b"530-5.7.0")
    talk = Pop3Talk(house.visit())
    talk.wire.take()
    peer = ScramPeer(ALICE, PASSWORD)
    first = await talk.line(b"AUTH SCRAM-SHA-256 " + b64encode(peer.first))
    await talk.line(b64encode(peer.answer(talk.challenge(first))))
    assert (await talk.line(b"*")).startswith(b"-ERR")
    assert (await talk.line(b"STAT")).startswith(b"-ERR")


@pytest.mark.parametrize(
    ("login", "password", "reason", "used"),
    [
        (ALICE, "wrong", "wrong-password", ""),
        ("nobody@example.test", "wrong", "unknown-user", ""),
        (ALICE, APP, "out-of-scope", "aaaa"),
    ],
)
@pytest.mark.parametrize("way", ["PLAIN", SCRAM])
async def test_all_failures_sound_alike(
    hall: Hall, way: str, login: str, password: str, reason: str, used: str
) -> None:
    talk = await submission(hall)
    if way == SCRAM:
        answer = await scram(talk, ScramPeer(login, password))
    else:
        answer = await talk.line(b"AUTH PLAIN " + b64encode(f"\0{login}\0{password}".encode()))
    assert answer == b"535 5.7.8 Login or password is wrong\r\n"
    event = hall.events.one(LoginFailed)
    assert (event.account, event.reason, event.mechanism, event.app_password) == (login, reason, way, used)


async def test_another_certificate_between_us_is_noticed(hall: Hall) -> None:
    talk = await submission(hall)
    answer = await scram(talk, ScramPeer(ALICE, PASSWORD, PLUS, binding=b"\x66" * 32), PLUS)
    assert answer.startswith(b"535 5.7.8")
    assert "certificate" in hall.events.one(LoginFailed).reason


async def test_a_hidden_plus_is_noticed(hall: Hall) -> None:
    talk = await submission(hall)
    answer = await talk.line(b"AUTH SCRAM-SHA-256 " + b64encode(b"y,,n=alice@example.test,r=abc"))
    assert answer.startswith(b"535 5.7.8")
    assert "hid" in hall.events.one(LoginFailed).reason


async def test_a_connection_without_binding_is_offered_no_plus(hall: Hall, house: Pop3House) -> None:
    wire = hall.knock(Door.SUBMISSION)
    await say(wire, b"EHLO c\r\nSTARTTLS\r\n")
    wire.finish_tls(NO_BINDING)
    assert b"AUTH SCRAM-SHA-256 PLAIN LOGIN" in await say(wire, b"EHLO c\r\n")
    answer = await say(wire, b"AUTH SCRAM-SHA-256-PLUS\r\n")
    assert answer == b"504 5.5.4 Mechanism not offered; these are: SCRAM-SHA-256 PLAIN LOGIN\r\n"
    visit = house.visit(tls=False)
    await visit.say("STLS")
    visit.wire.finish_tls(NO_BINDING)
    assert "SASL SCRAM-SHA-256 PLAIN LOGIN\r\n" in await visit.say("CAPA")
    answer = await visit.say("AUTH SCRAM-SHA-256-PLUS")
    assert answer == "-ERR This mechanism is not offered; these are: SCRAM-SHA-256 PLAIN LOGIN\r\n"


async def test_what_is_no_scram_message(hall: Hall, house: Pop3House) -> None:
    talk = await submission(hall)
    assert (await talk.line(b"AUTH SCRAM-SHA-256 " + b64encode(b"hello"))).startswith(b"501 5.5.2")
    assert hall.events.one(LoginFailed).reason.startswith("malformed: ")
    pop = Pop3Talk(house.visit())
    pop.wire.take()
    assert (await pop.line(b"AUTH SCRAM-SHA-256 " + b64encode(b"hello"))).startswith(b"-ERR [AUTH] ")


async def test_guessing_by_scram_ends_the_connection(hall: Hall) -> None:
    talk = await submission(hall)
    for _ in range(2):
        assert (await scram(talk, ScramPeer(ALICE, "wrong"))).startswith(b"535")
    assert (await scram(talk, ScramPeer(ALICE, "wrong"))).startswith(b"421 4.7.0")
    assert talk.wire.closed


async def test_a_client_that_goes_away_in_the_middle(hall: Hall, house: Pop3House) -> None:
    talk = await submission(hall)
    await talk.line(b"AUTH SCRAM-SHA-256 " + b64encode(ScramPeer(ALICE, PASSWORD).first))
    talk.wire.hang_up()
    visit = house.visit()
    await visit.send(b"AUTH SCRAM-SHA-256 " + b64encode(ScramPeer(ALICE, PASSWORD).first) + b"\r\n")
    await visit.end()
    assert not hall.events.of(LoginSucceeded)
    assert not house.events.of(LoginSucceeded)
