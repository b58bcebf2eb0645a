"""The relay door, from bytes to the spool, without a socket."""

from __future__ import annotations

import pytest

from ekiden.config.model import Domain, Limits, Relay
from ekiden.model.door import Door
from ekiden.model.events import InternalFault, LetterAccepted, LetterRefused, RecipientRefused
from ekiden.model.reply import Reply
from ekiden.ports.spool import Selection, SpoolFailed
from tests.fakes.doors import Hall, conversation, say

ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
LETTER = b"Subject: hello\r\n\r\nbody\r\n.\r\n"


@pytest.fixture
async def hall() -> Hall:
    hall = Hall()
    await hall.add("bob")
    return hall


async def stored(hall: Hall) -> bytes:
    letters = await hall.spool.find(Selection())
    assert len(letters) == 1
    content = await hall.spool.content(letters[0].letter)
    assert content is not None
    assert content.octets is not None
    return content.octets


async def test_a_letter_is_in_the_spool_when_250_is_said(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    answer = await say(wire, LETTER)
    assert answer.startswith(b"250 2.0.0 Queued as ")
    octets = await stored(hall)
    assert octets.startswith(b"Received: from client.test ([192.0.2.1]) by mail.example.test with ESMTP")
    assert octets.endswith(b"\r\nSubject: hello\r\n\r\nbody\r\n")
    assert b"for <bob@example.test>" in octets
    assert [claim.leg.next_hop for claim in hall.offered] == ["local"]
    assert [recipient.rule for recipient in hall.offered[0].leg.recipients] == ["own-domain-known"]
    event = hall.events.one(LetterAccepted)
    assert answer.split()[-1].decode() == event.letter
    assert event.recipients == ["bob@example.test"]


async def test_nobody_says_250_before_the_store_has_it(hall: Hall) -> None:
    hall.spool.pause()
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    assert await say(wire, LETTER) == b""
    hall.spool.resume()
    assert (await say(wire, b"")).startswith(b"250 2.0.0")


async def test_pipelined_commands_wait_for_the_answer_that_is_owed(hall: Hall) -> None:
    hall.spool.pause()
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    assert await say(wire, LETTER + b"NOOP\r\nQUIT\r\n") == b""
    hall.spool.resume()
    lines = (await say(wire, b"")).split(b"\r\n")
    assert [line[:3] for line in lines] == [b"250", b"250", b"221", b""]
    assert wire.closed


@pytest.mark.parametrize("full", [True, False])
async def test_a_store_that_fails_is_a_temporary_refusal(hall: Hall, full: bool) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    hall.spool.fail_next("accept", SpoolFailed("no", full=full))
    answer = await say(wire, LETTER)
    assert answer.startswith(b"452 4.3.1" if full else b"451 4.3.0")
    assert hall.offered == []
    assert hall.events.one(LetterRefused).rule == "storage"
    assert await hall.spool.find(Selection()) == []


async def test_a_store_that_fails_midway_lets_the_client_finish(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    hall.spool.fail_next("write", SpoolFailed("no", full=True))
    assert await say(wire, b"Subject: x\r\n\r\nfirst\r\n") == b""
    assert (await say(wire, b"second\r\n.\r\n")).startswith(b"452 4.3.1")
    assert (await say(wire, b"NOOP\r\n")).startswith(b"250")


async def test_strangers_reach_our_own_domains_only(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    answer = await say(wire, b"RCPT TO:<carol@far.test>\r\n")
    assert answer.startswith(b"550-5.7.1")
    assert b"465" in answer
    assert hall.events.one(RecipientRefused).rule == "relay-denied"


async def test_an_unknown_mailbox_is_refused_at_the_door(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    assert (await say(wire, b"RCPT TO:<nobody@example.test>\r\n")).startswith(b"550 5.1.1")
    assert (await say(wire, b"RCPT TO:<bob+tag@example.test>\r\n")).startswith(b"250 2.1.5")


async def test_trusted_networks_may_relay_also_when_written_as_mapped_ipv6(hall: Hall) -> None:
    for client in ("10.0.0.7", "::ffff:10.0.0.7"):
        wire = hall.knock(Door.RELAY, client=client)
        await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
        assert (await say(wire, b"RCPT TO:<carol@far.test>\r\n")).startswith(b"250")


async def test_the_default_gateway_is_in_no_range(hall: Hall) -> None:
    hall = Hall(relay=Relay(trusted_networks=("10.0.0.0/16",)))
    hall.gateways = frozenset({"10.0.0.1"})
    for client, code in (("10.0.0.1", b"550"), ("::ffff:10.0.0.1", b"550"), ("10.0.0.2", b"250")):
        wire = hall.knock(Door.RELAY, client=client)
        await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
        assert (await say(wire, b"RCPT TO:<carol@far.test>\r\n")).startswith(code)


async def test_postmaster_without_a_domain_is_taken(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<>\r\n")
    assert (await say(wire, b"RCPT TO:<postmaster>\r\n")).startswith(b"250")
    await say(wire, b"DATA\r\n")
    await say(wire, LETTER)
    assert hall.offered[0].leg.recipients[0].forward_path == "postmaster@example.test"


async def test_the_postmaster_is_at_our_own_address_and_nobody_else(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    here = wire.local.address.encode()
    await say(wire, b"EHLO c\r\nMAIL FROM:<>\r\n")
    for path in (b"bob@[%b]" % here, b"postmaster@[192.0.2.99]", b"x%%far.test@[%b]" % here):
        assert (await say(wire, b"RCPT TO:<%b>\r\n" % path)).startswith(b"550-5.7.1")
    assert (await say(wire, b"RCPT TO:<Postmaster@[%b]>\r\n" % here)).startswith(b"250")
    await say(wire, b"DATA\r\n")
    await say(wire, LETTER)
    (leg,) = [claim.leg for claim in hall.offered]
    assert (leg.next_hop, leg.recipients[0].forward_path) == ("local", "Postmaster@example.test")


async def test_a_login_is_refused_with_the_right_doors(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY, tls=True)
    answer = await say(wire, b"EHLO c\r\nAUTH PLAIN AGEAYg==\r\n")
    assert b"AUTH" not in answer.split(b"502")[0]
    assert b"502-5.5.1" in answer
    assert b"465" in answer
    assert b"587" in answer


async def test_the_same_recipient_twice_is_delivered_once(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(
        wire,
        b"EHLO c\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<BOB@Example.TEST>\r\nDATA\r\n",
    )
    await say(wire, LETTER)
    assert len(hall.offered[0].leg.recipients) == 1


async def test_too_many_hops_end_a_loop() -> None:
    hall = Hall(limits=Limits(hops=3))
    await hall.add("bob")
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    assert (await say(wire, b"Received: x\r\n" * 3 + LETTER)).startswith(b"554 5.4.6")
    assert await hall.spool.find(Selection()) == []


async def test_a_header_section_without_end_is_refused(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    await say(wire, b"X-Long: " + b"x" * 70_000 + b"\r\n")
    for _ in range(4):
        await say(wire, b"X-Long: " + b"x" * 70_000 + b"\r\n")
    assert (await say(wire, b".\r\n")).startswith(b"552 5.3.4")


async def test_a_letter_that_did_not_fit_into_the_window_waits_in_the_store(hall: Hall) -> None:
    hall.window.resize(0, 0)
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    assert (await say(wire, LETTER)).startswith(b"250")
    assert hall.offered == []
    assert hall.nudges == 1
    assert await hall.spool.next_due() is not None


async def test_a_connection_lost_midway_leaves_nothing(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE + b"")
    await say(wire, b"Subject: half")
    wire.hang_up()
    assert await hall.spool.find(Selection()) == []


async def test_a_connection_lost_while_the_store_writes_keeps_the_letter_and_delivers_it(hall: Hall) -> None:
    hall.spool.pause()
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    await say(wire, LETTER)
    wire.hang_up()
    hall.spool.resume()
    await say(wire, b"")
    assert len(hall.offered) == 1


async def test_a_fault_of_ours_is_451_with_an_incident_and_its_stack_in_the_log(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(hall.directory, "peek", broken)
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    answer = await say(wire, b"RCPT TO:<bob@example.test>\r\n")
    assert answer.startswith(b"451 4.3.0")
    assert b"secret" not in answer
    fault = hall.events.one(InternalFault)
    assert fault.incident.encode() in answer
    assert "ZeroDivisionError" in fault.stack
    assert (await say(wire, b"NOOP\r\n")).startswith(b"250")


async def test_a_client_that_hangs_up_its_side_still_hears_the_250(hall: Hall) -> None:
    hall.spool.pause()
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    await say(wire, LETTER)
    wire.half_close()
    assert not wire.closed
    hall.spool.resume()
    assert (await say(wire, b"")).startswith(b"250 2.0.0")
    assert wire.closed


async def test_a_client_that_hangs_up_owed_nothing_is_let_go(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\n")
    wire.half_close()
    assert wire.closed


async def test_starttls_forgets_everything(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    await say(wire, b"RSET\r\n")
    assert (await say(wire, b"STARTTLS\r\n")).startswith(b"220 2.0.0")
    assert wire.tls_starts == 1
    wire.finish_tls()
    assert (await say(wire, b"MAIL FROM:<a@far.test>\r\n")).startswith(b"503")
    assert b"STARTTLS" not in await say(wire, b"EHLO c\r\n")


async def test_octets_behind_starttls_end_the_session(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\n")
    answer = await say(wire, b"STARTTLS\r\nMAIL FROM:<evil@far.test>\r\n")
    assert answer.startswith(b"554 5.5.1")
    assert wire.closed
    assert wire.tls_starts == 0


async def test_idle_sessions_end_with_421(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\n")
    user = conversation(wire)
    user.tick(hall.clock.monotonic())  # something came since the last tick: the deadline moves
    hall.clock.advance(299)
    user.tick(hall.clock.monotonic())
    assert not wire.closed
    hall.clock.advance(2)
    user.tick(hall.clock.monotonic())
    assert wire.take().startswith(b"421 4.4.2")
    assert wire.closed


async def test_a_client_that_never_says_anything_goes_sooner(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    hall.clock.advance(61)
    conversation(wire).tick(hall.clock.monotonic())
    assert wire.take().startswith(b"421")


async def test_draining_lets_a_transaction_finish(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    conversation(wire).drain()
    assert not wire.closed
    answer = await say(wire, LETTER)
    assert answer.startswith(b"250 2.0.0")
    assert b"421 4.3.2" in answer
    assert wire.closed


async def test_draining_ends_idle_sessions_at_once(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\n")
    conversation(wire).drain()
    assert wire.take().startswith(b"421 4.3.2")


async def test_a_slow_reader_stops_us(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\n")
    conversation(wire).writable(False)
    assert wire.paused
    conversation(wire).writable(True)
    assert not wire.paused
    assert (await say(wire, b"NOOP\r\n")).startswith(b"250")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(250, "2.1.5", "ok"), b"250"),
        (Reply(550, "5.1.1", "no"), b"550 5.1.1"),
        (Reply(450, "4.4.1", "down"), b"450 4.4.1"),
    ],
)
async def test_callahead_asks_the_next_hop(reply: Reply, expected: bytes) -> None:
    hall = Hall(domain=(Domain(name="inner.test", recipients="callahead"),))
    hall.probe.answers["x@inner.test"] = reply
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    assert (await say(wire, b"RCPT TO:<x@inner.test>\r\n")).startswith(expected)
    assert hall.probe.asked == ["x@inner.test"]


async def test_many_bad_recipients_are_no_errors(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
    for _ in range(30):
        assert (await say(wire, b"RCPT TO:<nobody@example.test>\r\n")).startswith(b"550 5.1.1")
    assert (await say(wire, b"RCPT TO:<bob@example.test>\r\n")).startswith(b"250")


async def test_every_split_of_a_session_gives_the_same_answers(hall: Hall) -> None:
    whole = ENVELOPE + b"\0"  # marks where the client waits for 354
    answers = set()
    for size in (1, 2, 3, 7, 64, 10_000):
        wire = hall.knock(Door.RELAY)
        out = b""
        for part in (whole.rstrip(b"\0"), LETTER, b"QUIT\r\n"):
            wire.feed_split(part, size)
            out += await say(wire, b"")
        answers.add(out.replace(out.split(b"Queued as ")[1].split(b"\r\n")[0], b"ID"))
    assert len(answers) == 1


async def test_an_octet_now_and_then_holds_no_session_open(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    for _ in range(7):
        await say(wire, b"N")
        hall.clock.advance(9)
        conversation(wire).tick(hall.clock.monotonic())
    assert wire.take().startswith(b"421 4.4.2")
    assert wire.closed


@pytest.mark.parametrize(("octets", "ends"), [(b"x", True), (b"x" * 998 + b"\r\n", False)])
async def test_content_that_only_drips_is_no_progress(hall: Hall, octets: bytes, ends: bool) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, ENVELOPE)
    await say(wire, b"DATA\r\n")
    user = conversation(wire)
    user.tick(hall.clock.monotonic())
    for _ in range(8):
        await say(wire, octets)
        hall.clock.advance(50)
        user.tick(hall.clock.monotonic())
    assert wire.closed is ends


@pytest.mark.parametrize(
    ("client", "wanted", "granted"),
    [("192.0.2.1", 9, 0), ("192.0.2.1", 0, 0), ("192.0.2.1", -9, -9), ("10.0.0.7", 9, 3), ("10.0.0.7", 3, 3)],
)
async def test_a_stranger_is_never_more_urgent_than_others(hall: Hall, client: str, wanted: int, granted: int) -> None:
    """RFC 6710 §4.1: who gets less than he asked for is told so, and the letter carries what he got."""
    wire = hall.knock(Door.RELAY, client=client)
    await say(wire, b"EHLO c\r\n")
    answer = await say(wire, b"MAIL FROM:<a@far.test> MT-PRIORITY=%d\r\n" % wanted)
    if wanted == granted:
        assert answer == b"250 2.1.0 Sender ok\r\n"
    else:
        assert answer == b"250 2.3.6 %d is the new priority of this letter\r\n" % granted
    await say(wire, b"RCPT TO:<bob@example.test>\r\nDATA\r\n")
    await say(wire, b"MT-Priority: 9\r\n" + LETTER)
    (claim,) = hall.offered
    assert (claim.envelope.priority, claim.leg.priority) == (granted, granted)
    octets = await stored(hall)
    assert (b"PRIORITY %d;" % granted in octets) is (granted != 0)
    assert b"MT-Priority: 9\r\n" in octets, "content passes unchanged"


async def test_a_priority_is_that_of_its_own_letter(hall: Hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test> MT-PRIORITY=-2\r\nRSET\r\n")
    await say(wire, b"MAIL FROM:<a@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
    await say(wire, LETTER)
    assert hall.offered[0].envelope.priority == 0
