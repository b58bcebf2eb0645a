"""The submission doors, from bytes to the spool, without a socket."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import pytest

from ekiden.model.door import Door
from ekiden.model.events import Event, LoginFailed, LoginSucceeded
from ekiden.ports.passwords import HasherBusy
from ekiden.ports.spool import Selection
from tests.fakes.doors import PASSWORD, Hall, conversation, say
from tests.fakes.wire import FakeWire


@pytest.fixture
async def hall() -> Hall:
    hall = Hall()
    await hall.add("alice")
    await hall.add("bob")
    return hall


def plain(login: str, password: str = PASSWORD) -> bytes:
    return b"AUTH PLAIN " + b64encode(f"\0{login}\0{password}".encode()) + b"\r\n"


async def logged_in(hall: Hall) -> FakeWire:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    assert (await say(wire, plain("alice@example.test"))).startswith(b"235 2.7.0")
    return wire


async def test_587_asks_for_tls_first(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSION)
    answer = await say(wire, b"EHLO c\r\n")
    assert b"STARTTLS" in answer
    assert b"AUTH" not in answer
    assert (await say(wire, plain("alice@example.test"))).startswith(b"530 5.7.0")
    assert (await say(wire, b"MAIL FROM:<alice@example.test>\r\n")).startswith(b"530-5.7.0 Must issue a STARTTLS")
    await say(wire, b"STARTTLS\r\n")
    wire.finish_tls()
    assert b"AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in await say(wire, b"EHLO c\r\n")
    answer = await say(wire, b"MAIL FROM:<alice@example.test>\r\n")
    assert answer.startswith(b"530-5.7.0 Authentication required")
    assert b"port 25" in answer
    assert (await say(wire, plain("alice@example.test"))).startswith(b"235 2.7.0")
    assert (await say(wire, b"MAIL FROM:<alice@example.test>\r\n")).startswith(b"250")


async def test_a_login_may_send_anywhere(hall: Hall) -> None:
    wire = await logged_in(hall)
    assert (await say(wire, b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<carol@far.test>\r\n")).count(b"250") == 2
    event = hall.events.one(LoginSucceeded)
    assert (event.account, event.mechanism) == ("alice@example.test", "PLAIN")


async def test_a_login_may_be_more_urgent_up_to_the_limit(hall: Hall) -> None:
    wire = await logged_in(hall)
    assert b"250 2.1.0" in await say(wire, b"MAIL FROM:<alice@example.test> MT-PRIORITY=3\r\n")
    await say(wire, b"RSET\r\n")
    assert b"250 2.3.6 3 " in await say(wire, b"MAIL FROM:<alice@example.test> MT-PRIORITY=4\r\n")


async def test_login_goes_by_steps(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    assert await say(wire, b"AUTH LOGIN\r\n") == b"334 " + b64encode(b"Username:") + b"\r\n"
    assert await say(wire, b64encode(b"alice@example.test") + b"\r\n") == b"334 " + b64encode(b"Password:") + b"\r\n"
    assert (await say(wire, b64encode(PASSWORD.encode()) + b"\r\n")).startswith(b"235")


async def test_unknown_user_and_wrong_password_get_the_same_answer(hall: Hall) -> None:
    answers = []
    for login in ("alice@example.test", "nobody@example.test"):
        wire = hall.knock(Door.SUBMISSIONS)
        await say(wire, b"EHLO c\r\n")
        answers.append(await say(wire, plain(login, "wrong")))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"535 5.7.8")
    assert [event.reason for event in hall.events.of(LoginFailed)] == ["wrong-password", "unknown-user"]


async def test_three_wrong_passwords_end_the_session(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    for _ in range(2):
        assert (await say(wire, plain("alice@example.test", "wrong"))).startswith(b"535")
    assert (await say(wire, plain("alice@example.test", "wrong"))).startswith(b"421 4.7.0")
    assert wire.closed


async def test_no_password_is_in_any_event(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    await say(wire, plain("alice@example.test", "hunter2hunter2"))
    await say(wire, plain("alice@example.test"))
    log = b"".join(msgspec.json.encode(event) for event in hall.events.of(Event))
    for secret in (b"hunter2", PASSWORD.encode(), b64encode(f"\0alice@example.test\0{PASSWORD}".encode())):
        assert secret not in log


async def test_what_submission_mends(hall: Hall) -> None:
    wire = await logged_in(hall)
    await say(wire, b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
    letter = b"From: alice@example.test\r\nBcc: bob@example.test\r\nSubject: x\r\n\r\nBcc: stays in the body\r\n.\r\n"
    assert (await say(wire, letter)).startswith(b"250")
    found = await hall.spool.find(Selection())
    content = await hall.spool.content(found[0].letter)
    assert content is not None
    octets = content.octets
    assert octets is not None
    head, _, body = octets.partition(b"\r\n\r\n")
    assert b"with ESMTPSA" in head
    assert b"\r\nMessage-ID: <" in head
    assert b"\r\nDate: " in head
    assert b"Bcc" not in head
    assert body == b"Bcc: stays in the body\r\n"
    assert found[0].envelope.message_id in head.decode()
    assert found[0].envelope.header_octets == len(head) + 4


async def test_too_many_logins_at_once_are_told_to_come_back(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(encoded: str, password: str, *, known: bool) -> bool:
        raise HasherBusy

    monkeypatch.setattr(hall.hasher, "verify", busy)
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    for _ in range(9):  # no guesses: they do not end the session
        assert (await say(wire, plain("alice@example.test"))).startswith(b"454 4.7.0")
    assert (await say(wire, plain("alice@example.test"))).startswith(b"421 4.7.0")  # but this is no mail program
    assert [event.reason for event in hall.events.of(LoginFailed)] == ["busy"] * 10


@pytest.mark.parametrize("change", ["password", "disable", "remove"])
async def test_a_changed_account_ends_its_open_sessions(hall: Hall, change: str) -> None:
    wire = await logged_in(hall)
    other = hall.knock(Door.SUBMISSIONS)
    account = await hall.directory.account("alice@example.test")
    assert account is not None
    await conversation(wire).accounts_changed()
    assert not wire.closed
    if change == "remove":
        await hall.directory.remove_account(account.name)
    else:
        new = msgspec.structs.replace(account, enabled=change != "disable")
        await hall.directory.change_account(new)
    await conversation(wire).accounts_changed()
    await conversation(other).accounts_changed()
    assert wire.take().startswith(b"421 4.7.0")
    assert wire.closed
    assert not other.closed


async def test_trusted_networks_mean_nothing_here(hall: Hall) -> None:
    wire = hall.knock(Door.SUBMISSIONS, client="10.0.0.7")
    assert (await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")).count(b"530 5.7.0") == 1


@pytest.mark.parametrize("mistaken", ["hunter2hunter2", "hunter2@2hunter", "hunter2@example.org"])
async def test_a_password_in_the_field_of_the_login_is_not_logged(hall: Hall, mistaken: str) -> None:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    assert (await say(wire, plain(mistaken, "alice@example.test"))).startswith(b"535")
    assert "hunter2" not in repr(hall.events.events)
    await say(wire, plain("alicia@example.test", "x"))
    assert hall.events.of(LoginFailed)[-1].account == "alicia@example.test"
