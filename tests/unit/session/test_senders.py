"""Who a letter from a login may be from, from bytes to the spool; no socket."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ekiden.model.account import Account, Alias, DirectoryEntry
from ekiden.model.door import Door
from ekiden.model.events import LetterAccepted, LetterRefused, SenderRefused
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryFailed
from ekiden.ports.spool import Selection
from ekiden.storage.memory.content import MemoryDraft
from tests.fakes.doors import NO_SCRAM, PASSWORD, Hall, say
from tests.fakes.wire import FakeWire
from tests.unit.session.test_submission import plain

ALICE = b"alice@example.test"


@pytest.fixture
async def hall() -> Hall:
    hall = Hall()
    for name in ("bob", "alice"):
        await hall.add(name)
    await hall.directory.put_alias(Alias("info@example.test", ("desk@example.test",)))
    await hall.directory.put_alias(Alias("desk@example.test", ("bob@example.test", "alice@example.test")))
    return hall


@pytest.fixture
async def wire(hall: Hall) -> FakeWire:
    return await logged_in(hall)


async def logged_in(hall: Hall) -> FakeWire:
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n")
    assert (await say(wire, plain("alice@example.test"))).startswith(b"235")
    return wire


async def mail(wire: FakeWire, reverse_path: bytes) -> bytes:
    answer = await say(wire, b"MAIL FROM:<" + reverse_path + b"> SMTPUTF8\r\n")
    await say(wire, b"RSET\r\n")
    return answer


async def send(wire: FakeWire, header: bytes, reverse_path: bytes = ALICE) -> bytes:
    await say(wire, b"MAIL FROM:<" + reverse_path + b">\r\nRCPT TO:<carol@far.test>\r\nDATA\r\n")
    return await say(wire, header + b"\r\nhello\r\n.\r\n")


@pytest.mark.parametrize(
    "reverse_path",
    [
        "alice@example.test",
        "ALICE@Example.TEST",
        '"alice"@example.test',
        "alice+a@example.test",
        "info@example.test",
        "",
    ],
)
async def test_a_reverse_path_of_ones_own(wire: FakeWire, reverse_path: str) -> None:
    assert (await mail(wire, reverse_path.encode())).startswith(b"250 2.1.0")


@pytest.mark.parametrize(
    "reverse_path",
    [
        "bob@example.test",
        "bob+alice@example.test",
        "nobody@example.test",
        "alice@far.test",
        "alice@example.test.far.test",
        "аlice@example.test",  # Cyrillic
        '"alice@example.test"@far.test',
        '"alice@example.test"@example.test',
        "alice%example.test@far.test",
        "@example.test:alice@far.test",
        "alice@[192.0.2.1]",
    ],
)
async def test_a_reverse_path_of_others(hall: Hall, wire: FakeWire, reverse_path: str) -> None:
    assert (await mail(wire, reverse_path.encode())) == (
        b"550-5.7.1 MAIL FROM: this login may not use that address\r\n"
        b"550 5.7.1 It may use alice@example.test, that with a +tag, its aliases\r\n"
    )
    event = hall.events.one(SenderRefused)
    assert (event.account, event.rule) == ("alice@example.test", "owner-reverse-path")
    assert event.reverse_path == reverse_path.removeprefix("@example.test:")


async def test_after_a_refusal_the_session_goes_on(wire: FakeWire) -> None:
    answer = await say(wire, b"MAIL FROM:<bob@example.test>\r\nRCPT TO:<carol@far.test>\r\nDATA\r\n")
    assert [line[:3] for line in answer.splitlines()] == [b"550", b"550", b"503", b"503"]
    assert (await send(wire, b"From: alice@example.test\r\n")).startswith(b"250 2.0.0 Queued")


@pytest.mark.parametrize(
    "header",
    [
        b"From: Alice <alice@example.test>\r\n",
        b"From: alice+news@example.test\r\nSender: info@example.test\r\n",
        b"From: A <alice@example.test>,\r\n info@example.test\r\n",
        b"Resent-From: alice@example.test\r\nFROM : alice@example.test\r\nReply-To: bob@example.test\r\n",
    ],
)
async def test_a_letter_from_oneself(hall: Hall, wire: FakeWire, header: bytes) -> None:
    assert (await send(wire, header)).startswith(b"250 2.0.0 Queued")
    assert hall.events.one(LetterAccepted).account == "alice@example.test"


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (b"From: bob@example.test\r\n", "owner-from"),
        (b"From: Alice <alice@far.test>\r\n", "owner-from"),
        (b'From: "alice@example.test" <bob@example.test>\r\n', "owner-from"),
        (b"From: alice@example.test, bob@example.test\r\n", "owner-from"),
        (b"From:\r\n Alice\r\n\t<bob@example.test>\r\n", "owner-from"),
        (b"From: alice@example.test\r\nSender: bob@example.test\r\n", "owner-sender"),
        (b"Resent-From: bob@example.test\r\nFrom: alice@example.test\r\n", "owner-resent"),
        (b"Resent-From: alice@example.test\r\nFrom: bob@example.test\r\n", "owner-from"),
        (b"From: alice@example.test\r\nResent-Sender: bob@example.test\r\n", "owner-resent"),
        (b"Subject: x\r\n", "from-missing"),
        (b"X-From: alice@example.test\r\nFro\xc3\xb4m: alice@example.test\r\n", "from-missing"),
        (b"From: alice@example.test\r\nFrom: bob@example.test\r\n", "from-malformed"),
        (b"From: alice@example.test\r\nfrom : alice@example.test\r\n", "from-malformed"),
        (b"From: alice@example.test <bob@example.test>\r\n", "from-malformed"),
        (b"From: alice@example.test\r\nSender: x\r\n", "sender-malformed"),
        (b"From: alice@example.test\r\nResent-From: <\r\n", "resent-malformed"),
        (b"X: " + b"x" * 70_000 + b"\r\nFrom: alice@example.test\r\nFrom: bob@example.test\r\n", "from-malformed"),
        (b"X: " + b"x" * 70_000 + b"\r\nFrom: bob@example.test\r\n", "owner-from"),
        (b"From: alice@example.test\r\nX: " + b"x" * 270_000 + b"\r\nFrom: bob@example.test\r\n", "content"),
    ],
)
async def test_a_letter_from_others_is_refused_and_not_kept(
    hall: Hall, wire: FakeWire, header: bytes, rule: str
) -> None:
    answer = await send(wire, header)
    code = {"content": b"552 5.3.4 "}.get(rule, b"550 5.7.1 " if rule.startswith("owner") else b"550 5.6.0 ")
    assert answer.splitlines()[-1].startswith(code)
    event = hall.events.one(LetterRefused)
    assert (event.rule, event.account, bool(event.reason)) == (rule, "alice@example.test", rule != "content")
    assert await hall.spool.find(Selection()) == []


@pytest.mark.parametrize("sent", [b"hello\r\n", b"\r\n", b""])
async def test_a_letter_without_header_says_nothing_of_who_it_is_from(hall: Hall, wire: FakeWire, sent: bytes) -> None:
    await say(wire, b"MAIL FROM:<" + ALICE + b">\r\nRCPT TO:<carol@far.test>\r\nDATA\r\n")
    assert b"550-5.6.0 The letter has no From field" in await say(wire, sent + b".\r\n")


async def test_a_receipt_has_no_reverse_path_but_a_from(hall: Hall, wire: FakeWire) -> None:
    assert (await send(wire, b"From: alice@example.test\r\n", b"")).startswith(b"250 2.0.0 Queued")
    assert b"550 5.7.1" in await send(wire, b"From: bob@example.test\r\n", b"")


async def test_the_content_may_come_in_any_pieces(hall: Hall, wire: FakeWire) -> None:
    await say(wire, b"MAIL FROM:<" + ALICE + b">\r\nRCPT TO:<carol@far.test>\r\n")
    for octet in b"From: alice@example.test\r\nSender: bob@example.test\r\n\r\nhi":
        assert (await say(wire, b"BDAT 1\r\n" + bytes([octet]))).startswith(b"250")
    assert b"550 5.7.1" in await say(wire, b"BDAT 0 LAST\r\n")


async def test_what_stands_behind_a_broken_line_is_body_for_everybody(hall: Hall, wire: FakeWire) -> None:
    header = b"Date: x\r\nMessage-ID: <y@z>\r\nFrom: alice@example.test\r\nbroken\r\nFrom: bob@example.test\r\n"
    assert (await send(wire, header)).startswith(b"250")
    content = await hall.spool.content((await hall.spool.find(Selection()))[0].letter)
    assert content is not None
    assert content.octets is not None
    assert b"From: alice@example.test\r\n\r\nbroken\r\nFrom: bob@" in content.octets


async def test_what_the_postmaster_granted(hall: Hall) -> None:
    account = Account("app@example.test", await hall.hasher.hash(PASSWORD), NO_SCRAM, send_as=("@far.test",))
    await hall.directory.add_account(account)
    wire = hall.knock(Door.SUBMISSIONS)
    await say(wire, b"EHLO c\r\n" + plain("app@example.test"))
    assert (await send(wire, b"From: any@far.test\r\n", b"bounce@far.test")).startswith(b"250 2.0.0 Queued")
    assert b"its aliases, and @far.test\r\n" in await send(wire, b"From: any@sub.far.test\r\n", b"bounce@far.test")


async def test_a_new_login_is_held_against_the_stored_account(hall: Hall, wire: FakeWire) -> None:
    account = await hall.directory.account("alice@example.test")
    assert account is not None
    await hall.directory.change_account(msgspec.structs.replace(account, send_as=("bob@example.test",)))
    assert (await mail(await logged_in(hall), b"bob@example.test")).startswith(b"250")
    assert (await mail(wire, b"bob@example.test")).startswith(b"550")


async def test_the_catch_all_makes_every_free_name_ones_own(hall: Hall, wire: FakeWire) -> None:
    await hall.directory.put_alias(Alias("@example.test", ("alice@example.test",)))
    assert (await mail(wire, b"anything@example.test")).startswith(b"250")
    assert (await mail(wire, b"bob@example.test")).startswith(b"550")
    assert b"550 5.6.0" in await send(wire, b'From: "victim@bank.test"@example.test\r\n')


async def test_the_relay_door_does_not_ask(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY, client="10.0.0.7")
    await say(wire, b"EHLO c\r\n")
    assert (await send(wire, b"Subject: x\r\n", b"anybody@far.test")).startswith(b"250 2.0.0 Queued")


class SlowDirectory:
    """Nothing is in memory; what is asked waits for `open`."""

    def __init__(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        self.failed = False
        self._find = hall.directory.find
        monkeypatch.setattr(hall.directory, "peek", lambda mailbox: None)
        monkeypatch.setattr(hall.directory, "find", self.find)

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        await self.gate.wait()
        if self.failed:
            raise DirectoryFailed("the disk is gone")
        return await self._find(mailbox)


async def test_what_is_not_in_memory_is_waited_for(hall: Hall, wire: FakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowDirectory(hall, monkeypatch)
    drafts: list[MemoryDraft] = []
    begin = hall.spool.begin
    monkeypatch.setattr(hall.spool, "begin", lambda: drafts.append(draft := begin()) or draft)
    assert await say(wire, b"MAIL FROM:<info@example.test>\r\n") == b""
    slow.gate.set()
    assert (await say(wire, b"")).startswith(b"250 2.1.0")
    await say(wire, b"RCPT TO:<carol@far.test>\r\nDATA\r\n")
    slow.gate.clear()
    assert await say(wire, b"From: info@example.test, bob@example.test, desk@example.test\r\n\r\n.\r\n") == b""
    slow.gate.set()
    assert b"550 5.7.1" in await say(wire, b"")
    assert hall.events.one(LetterRefused).rule == "owner-from"
    assert all(draft.discarded for draft in drafts)
    assert (await send(wire, b"From: info@example.test\r\n", b"info@example.test")).startswith(b"250 2.0.0 Queued")


async def test_ones_own_address_is_never_waited_for(
    hall: Hall, wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowDirectory(hall, monkeypatch)
    assert (await send(wire, b"From: Alice <alice@example.test>\r\n")).startswith(b"250 2.0.0 Queued")


async def test_a_directory_that_is_down_defers(hall: Hall, wire: FakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowDirectory(hall, monkeypatch)
    slow.failed = True
    slow.gate.set()
    assert (await mail(wire, b"info@example.test")).startswith(b"451 4.3.0")
    assert (await send(wire, b"From: info@example.test\r\n")).startswith(b"451 4.3.0")
    assert hall.events.one(LetterRefused).rule == "directory-down"
    assert await hall.spool.find(Selection()) == []


async def test_a_connection_that_is_lost_meanwhile_leaves_nothing(
    hall: Hall, wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(wire, b"MAIL FROM:<" + ALICE + b">\r\nRCPT TO:<carol@far.test>\r\nDATA\r\n")
    slow = SlowDirectory(hall, monkeypatch)
    await say(wire, b"From: info@example.test\r\n\r\n.\r\n")
    wire.hang_up()
    slow.gate.set()
    await say(wire, b"")
    assert await hall.spool.find(Selection()) == []
