"""The POP3 session: one maildrop a session, deletions only at QUIT, back-pressure, timers, revocation, faults."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator

import msgspec
import pytest

from ekiden.accounts.login import FAILED_LOGINS
from ekiden.model.events import InternalFault, LoginFailed, LoginSucceeded, SessionClosed
from ekiden.model.ids import LetterId
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.session.pop3 import AHEAD_OCTETS, AUTOLOGOUT_SECONDS, LOGIN_SECONDS
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.memory.mailboxes import MemoryMaildrop
from tests.fakes.pop3_house import ALICE, Pop3House, Visit, settle

ONE = b"Subject: one\r\n\r\n.first\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + b"0123456789\r\n" * 30_000


async def house_with(*messages: bytes) -> Pop3House:
    return await Pop3House().begin(*(messages or (ONE, TWO)))


async def change_password(house: Pop3House) -> None:
    account = await house.directory.account(ALICE)
    assert account is not None
    await house.directory.change_account(msgspec.structs.replace(account, argon2="$fake$other"))


async def test_a_whole_session_fetches_and_deletes() -> None:
    house = await house_with()
    visit = house.visit()
    assert visit.wire.take() == b"+OK mail.example.test POP3 ready\r\n"
    assert await visit.say("USER alice", "PASS wonderland", "STAT") == (
        "+OK Name noted, now PASS\r\n+OK 2 messages (48 octets)\r\n+OK 2 48\r\n"
    )
    assert await visit.say("RETR 1", "DELE 1", "QUIT") == (
        "+OK 24 octets\r\nSubject: one\r\n\r\n..first\r\n.\r\n+OK Message 1 will be deleted at QUIT\r\n+OK Goodbye\r\n"
    )
    assert visit.wire.closed
    assert house.box == [TWO]
    await visit.end()
    assert house.events.one(LoginSucceeded).account == ALICE
    assert house.events.one(LoginSucceeded).mechanism == "USER"
    assert house.events.one(LoginSucceeded).tls.startswith("TLSv1.3")
    closed = house.events.one(SessionClosed)
    assert (closed.reason, closed.letters, closed.door) == ("quit", 1, "pop3")


async def test_login_by_sasl_in_two_steps() -> None:
    house = await house_with()
    visit = house.visit()
    visit.wire.take()
    assert await visit.say("AUTH LOGIN") == "+ VXNlcm5hbWU6\r\n"
    assert await visit.say("YWxpY2U=") == "+ UGFzc3dvcmQ6\r\n"
    assert (await visit.say("d29uZGVybGFuZA==")).startswith("+OK 2 messages")
    assert house.events.one(LoginSucceeded).mechanism == "LOGIN"


async def test_malformed_sasl_is_refused_and_counted() -> None:
    house = await house_with()
    visit = house.visit()
    visit.wire.take()
    assert (await visit.say("AUTH PLAIN YWxpY2U=")).startswith("-ERR [AUTH]")
    assert "wonderland" not in repr(house.events.events)
    assert house.events.one(LoginFailed).reason.startswith("malformed")


async def test_wrong_password_and_unknown_user_get_the_same_answer() -> None:
    house = await house_with()
    visit = house.visit()
    visit.wire.take()
    wrong = await visit.say("USER alice", "PASS x")
    unknown = await visit.say("USER nobody", "PASS x")
    assert wrong == unknown == "+OK Name noted, now PASS\r\n-ERR [AUTH] Login or password is wrong\r\n"
    assert [event.reason for event in house.events.of(LoginFailed)] == ["wrong-password", "unknown-user"]


async def test_guessing_is_ended() -> None:
    house = await house_with()
    visit = house.visit()
    visit.wire.take()
    answers = [await visit.say("USER alice", f"PASS {n}") for n in range(FAILED_LOGINS)]
    assert answers[-1].endswith("-ERR [AUTH] Too many failed logins, closing\r\n")
    assert visit.wire.closed
    await visit.end()
    assert house.events.one(SessionClosed).reason == "guessing"


async def test_a_busy_hasher_is_no_wrong_password() -> None:
    house = await house_with()
    house.hasher.busy = True
    visit = house.visit()
    for _ in range(FAILED_LOGINS + 1):
        assert (await visit.say("USER alice", "PASS wonderland")).endswith(
            "-ERR [SYS/TEMP] Logins cannot be checked right now, please try again\r\n"
        )
    assert not visit.wire.closed


async def test_one_session_a_maildrop() -> None:
    house = await house_with()
    first = await house.visit_logged_in()
    second = house.visit()
    assert "-ERR [IN-USE]" in await second.say("USER alice", "PASS wonderland")
    assert house.events.one(LoginFailed).reason == "in-use"
    assert await first.say("QUIT") == "+OK Goodbye\r\n"
    assert "+OK 2 messages" in await second.say("USER alice", "PASS wonderland")


async def test_the_maildrop_is_free_when_quit_is_answered() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    await visit.say("QUIT")
    assert not visit.wire.is_lost
    assert "+OK 2" in await house.visit().say("USER alice", "PASS wonderland")


async def test_a_mailbox_that_cannot_be_opened() -> None:
    house = await house_with()
    house.mailboxes.failing.add("open")
    visit = house.visit()
    assert "-ERR [SYS/TEMP]" in await visit.say("USER alice", "PASS wonderland")
    house.mailboxes.failing.clear()
    assert "+OK 2" in await visit.say("USER alice", "PASS wonderland")


async def test_a_lost_connection_deletes_nothing_and_frees_the_maildrop() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    await visit.say("DELE 1")
    await visit.end(ConnectionResetError())
    assert house.box == [ONE, TWO]
    assert "+OK 2" in await house.visit().say("USER alice", "PASS wonderland")
    assert house.events.of(SessionClosed)[0].reason == "lost"


async def test_lost_while_the_password_is_checked() -> None:
    house = await house_with()
    house.hasher.gate = asyncio.Event()
    visit = house.visit()
    await visit.say("USER alice", "PASS wonderland")
    await visit.end()
    house.hasher.gate.set()
    await settle()
    assert not house.events.of(LoginSucceeded)
    assert "+OK 2" in await house.visit().say("USER alice", "PASS wonderland")


async def test_quit_that_cannot_delete_says_so() -> None:
    house = await house_with()
    house.mailboxes.failing.add("remove")
    visit = await house.visit_logged_in()
    assert (await visit.say("DELE 1", "QUIT")).endswith("-ERR [SYS/TEMP] Some messages could not be deleted\r\n")
    assert visit.wire.closed


async def test_commands_wait_behind_a_login_and_come_in_order() -> None:
    house = await house_with()
    house.hasher.gate = asyncio.Event()
    visit = house.visit()
    visit.wire.take()
    assert await visit.say("USER alice", "PASS wonderland", "NOOP", "LIST 2") == "+OK Name noted, now PASS\r\n"
    house.hasher.gate.set()
    await settle()
    assert visit.wire.take() == b"+OK 2 messages (48 octets)\r\n+OK Nothing done\r\n+OK 2 24\r\n"


async def test_reading_pauses_when_too_much_is_sent_ahead() -> None:
    house = await house_with()
    house.hasher.gate = asyncio.Event()
    visit = house.visit()
    await visit.send(b"USER alice\r\nPASS wonderland\r\n" + b"NOOP\r\n" * (AHEAD_OCTETS // 6 + 1))
    assert visit.wire.paused
    house.hasher.gate.set()
    await settle()
    assert not visit.wire.paused
    assert visit.wire.take().count(b"+OK Nothing done") == AHEAD_OCTETS // 6 + 1


async def test_a_slow_peer_holds_back_the_message() -> None:
    house = await house_with(LARGE)
    visit = await house.visit_logged_in()
    visit.session.writable(False)
    assert await visit.say("RETR 1") == ""
    visit.session.writable(True)
    await settle()
    visit.session.writable(False)
    before = len(visit.wire.take())
    visit.session.writable(True)
    await settle()
    rest = visit.wire.take()
    assert before + len(rest) == len(b"+OK %d octets\r\n" % len(LARGE)) + len(LARGE) + 3


async def test_a_stalled_peer_gets_no_more_than_a_piece() -> None:
    house = await house_with(LARGE)
    visit = await house.visit_logged_in()
    clogging = ClogAfter(visit, 1)
    assert len(await visit.say("RETR 1", "NOOP")) < 100_000
    clogging.stop()
    visit.session.writable(True)
    await settle()
    assert visit.wire.take().endswith(b".\r\n+OK Nothing done\r\n")


async def test_a_stalled_peer_gets_no_more_than_a_piece_of_a_listing() -> None:
    house = await house_with(*([b"x"] * 5000))
    visit = await house.visit_logged_in()
    clogging = ClogAfter(visit, 1)
    assert len(await visit.say("UIDL", "NOOP")) < 40_000
    clogging.stop()
    visit.session.writable(True)
    await settle()
    assert visit.wire.take().endswith(b".\r\n+OK Nothing done\r\n")


async def test_a_long_listing_lets_others_have_a_turn() -> None:
    house = await house_with(*([b"x"] * 40_000))
    visit = await house.visit_logged_in()
    visit.wire.feed(b"UIDL\r\nNOOP\r\n")
    assert not visit.wire.output.endswith(b"+OK Nothing done\r\n")
    await settle()
    assert visit.wire.take().endswith(b".\r\n+OK Nothing done\r\n")


async def test_a_message_that_fails_half_way_ends_without_the_final_dot() -> None:
    house = await house_with(LARGE)
    visit = await house.visit_logged_in()
    clogging = ClogAfter(visit, 1)
    await visit.say("RETR 1")
    clogging.stop()
    house.mailboxes.failing.add("read")
    visit.session.writable(True)
    await settle()
    assert visit.wire.aborted
    assert not visit.wire.take().endswith(b".\r\n")
    assert house.events.one(InternalFault).where == "pop3 session"
    await visit.end()
    assert house.events.one(SessionClosed).reason == "fault"


async def test_a_message_that_cannot_be_read_at_all() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    house.mailboxes.failing.add("read")
    assert await visit.say("RETR 1", "NOOP") == (
        "-ERR [SYS/TEMP] The message cannot be read right now, please try again\r\n+OK Nothing done\r\n"
    )


async def test_a_message_that_is_gone() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    del house.mailboxes.messages[ALICE][next(iter(house.mailboxes.messages[ALICE]))]
    assert (await visit.say("RETR 1")).startswith("-ERR Another program has deleted")


async def test_utf8_header_is_given_to_everybody() -> None:
    content = "Subject: 駅伝\r\n\r\nへ\r\n".encode()
    house = await house_with(content)
    visit = await house.visit_logged_in()
    assert content in await visit.send(b"RETR 1\r\n")


async def test_top() -> None:
    house = await house_with(LARGE)
    visit = await house.visit_logged_in()
    assert await visit.say("TOP 1 1") == "+OK The top follows\r\nSubject: large\r\n\r\n" + "x" * 70 + "\r\n.\r\n"


# --- TLS ------------------------------------------------------------------------------------------------------------


async def test_stls() -> None:
    house = await house_with()
    visit = house.visit(tls=False)
    visit.wire.take()
    assert "[AUTH]" in await visit.say("USER alice")
    assert await visit.say("STLS") == "+OK Begin TLS negotiation now\r\n"
    assert visit.wire.tls_starts == 1
    visit.wire.finish_tls()
    assert "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in await visit.say("CAPA")
    assert "+OK 2" in await visit.say("USER alice", "PASS wonderland")
    assert house.events.one(LoginSucceeded).tls.startswith("TLSv1.3")


async def test_injection_behind_stls() -> None:
    house = await house_with()
    visit = house.visit(tls=False)
    visit.wire.take()
    assert await visit.say("STLS", "USER alice") == "-ERR Nothing may follow STLS before the handshake\r\n"
    assert visit.wire.closed
    assert visit.wire.tls_starts == 0
    await visit.end()
    assert house.events.one(SessionClosed).reason == "injection"


async def test_no_certificate_no_stls() -> None:
    house = await house_with()
    visit = house.visit(tls=False, doorway=dataclasses.replace(house.doorway, tls=False))
    assert "STLS" not in await visit.say("CAPA")
    assert (await visit.say("STLS")).startswith("-ERR")


# --- timers ---------------------------------------------------------------------------------------------------------


async def test_login_must_come_within_a_minute() -> None:
    house = await house_with()
    visit = house.visit()
    house.clock.advance(LOGIN_SECONDS - 1)
    await visit.say("CAPA")  # commands do not prolong it
    visit.session.tick(house.clock.monotonic())
    assert not visit.wire.aborted
    house.clock.advance(1)
    visit.session.tick(house.clock.monotonic())
    assert visit.wire.aborted
    await visit.end()
    assert house.events.one(SessionClosed).reason == "timeout"


async def test_autologout_deletes_nothing() -> None:
    assert AUTOLOGOUT_SECONDS >= 600
    house = await house_with()
    visit = await house.visit_logged_in()
    await visit.say("DELE 1")
    visit.session.tick(house.clock.monotonic())
    house.clock.advance(AUTOLOGOUT_SECONDS - 1)
    visit.session.tick(house.clock.monotonic())
    assert not visit.wire.closed
    house.clock.advance(1)
    visit.wire.take()
    visit.session.tick(house.clock.monotonic())
    assert visit.wire.aborted
    assert visit.wire.take() == b""
    await visit.end()
    assert house.box == [ONE, TWO]


async def test_any_command_restarts_the_timer_but_single_octets_do_not() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    visit.session.tick(house.clock.monotonic())
    for octets in (b"NOOP\r\n", b"LIST\r\n"):
        house.clock.advance(AUTOLOGOUT_SECONDS - 1)
        await visit.send(octets)
        visit.session.tick(house.clock.monotonic())
    assert not visit.wire.closed
    for _ in range(2):
        house.clock.advance(AUTOLOGOUT_SECONDS / 2)
        await visit.send(b"N")
        visit.session.tick(house.clock.monotonic())
    assert visit.wire.aborted


async def test_a_deletion_under_way_is_not_cut_short() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    drop = visit.session._maildrop
    assert isinstance(drop, MemoryMaildrop)
    gate, remove = asyncio.Event(), drop.remove

    async def slow(indexes: tuple[int, ...]) -> object:
        await gate.wait()
        return await remove(indexes)

    drop.remove = slow  # type: ignore[method-assign, assignment]
    await visit.say("DELE 1", "QUIT")
    house.clock.advance(AUTOLOGOUT_SECONDS * 2)
    visit.session.tick(house.clock.monotonic())
    await change_password(house)
    await visit.session.accounts_changed()
    assert not visit.wire.closed
    gate.set()
    await settle()
    assert house.box == [TWO]
    assert visit.wire.take().endswith(b"+OK Goodbye\r\n")


# --- the account, the server -----------------------------------------------------------------------------------------


async def test_a_changed_password_ends_the_session_and_deletes_nothing() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    await visit.say("DELE 1")
    await visit.session.accounts_changed()
    assert not visit.wire.closed
    await change_password(house)
    await visit.session.accounts_changed()
    assert visit.wire.aborted
    await visit.end()
    assert house.box == [ONE, TWO]
    assert house.events.one(SessionClosed).reason == "revoked"


async def test_revoked_in_the_midst_of_a_message() -> None:
    house = await house_with(LARGE)
    visit = await house.visit_logged_in()
    ClogAfter(visit, 1)
    await visit.say("RETR 1")
    await house.directory.remove_account(ALICE)
    await visit.session.accounts_changed()
    await settle()
    assert visit.wire.aborted
    assert not visit.wire.take().endswith(b"\r\n.\r\n")


async def test_drain_sends_away_who_has_not_logged_in() -> None:
    house = await house_with()
    visit, working = house.visit(), await house.visit_logged_in()
    visit.wire.take()
    visit.session.drain()
    working.session.drain()
    assert visit.wire.take().startswith(b"-ERR [SYS/TEMP]")
    assert visit.wire.closed
    assert not working.wire.closed
    assert (await working.say("DELE 1", "QUIT")).endswith("+OK Goodbye\r\n")
    assert house.box == [TWO]


async def test_an_internal_fault_has_an_incident_id_and_no_details() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    drop = visit.session._maildrop
    assert isinstance(drop, MemoryMaildrop)

    async def broken(index: int) -> AsyncGenerator[bytes, None]:
        raise ValueError("secret detail")
        yield b""

    drop.read = broken  # type: ignore[method-assign]
    answer = await visit.say("RETR 1", "NOOP")
    fault = house.events.one(InternalFault)
    assert answer == (
        f"-ERR [SYS/TEMP] Internal fault, please try again later (incident {fault.incident})\r\n+OK Nothing done\r\n"
    )
    assert "secret detail" in fault.stack


async def test_nothing_happens_after_the_end() -> None:
    house = await house_with()
    visit = await house.visit_logged_in()
    await visit.end()
    visit.session.tick(house.clock.monotonic() + 10_000)
    visit.session.drain()
    visit.session.writable(True)
    await visit.session.accounts_changed()
    assert visit.wire.lost_count == 1


async def test_memory_mailboxes_fail_when_told() -> None:
    house = await house_with()
    house.mailboxes.failing.add("deliver")
    with pytest.raises(MailboxFailed):
        await house.mailboxes.deliver(ALICE, LetterId(1), ALICE, b"", MemoryContent(b""))


class ClogAfter:
    """Tells the session after `writes` writes that the peer is slow, as a transport does: within `write`."""

    def __init__(self, visit: Visit, writes: int) -> None:
        self._visit = visit
        self._left = writes
        self._write = visit.wire.write
        visit.wire.write = self._counted  # type: ignore[method-assign]

    def stop(self) -> None:
        self._visit.wire.write = self._write  # type: ignore[method-assign]

    def _counted(self, data: bytes) -> None:
        self._write(data)
        self._left -= 1
        if self._left <= 0:
            self._visit.session.writable(False)


async def test_a_password_in_the_field_of_the_login_is_not_logged() -> None:
    house = await house_with()
    visit = house.visit()
    await visit.say("USER hunter2", "PASS alice")
    assert "hunter2" not in repr(house.events.events)
    await visit.say("USER alicia@example.test", "PASS x")
    assert house.events.of(LoginFailed)[-1].account == "alicia@example.test"
