"""The SMTP server machine's own contract: events, what is owed, what is kept, what the session may change."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.model.envelope import Notify
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.commands import COMMANDS
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.server import ServerSettings, SmtpServer
from tests.dialog.scripted_session import STRANGER, ScriptedSession, begin


def test_every_fixed_reply_has_the_status_that_rfc_2034_wants() -> None:
    found = [value for value in vars(replies).values() if isinstance(value, Reply)]
    assert len(found) > 40
    for reply in found:
        assert reply.code == 354 or reply.status[:2] == f"{reply.code // 100}.", str(reply)


def test_events_of_a_letter() -> None:
    session = begin()
    session.send(
        b"MAIL FROM:<a@example.org> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=Q+2B1+20x SMTPUTF8\r\n"
        b"RCPT TO:<b@example.test> NOTIFY=delay,FAILURE ORCPT=rfc822;B+2Btag@example.test\r\nDATA\r\n"
    )
    session.send(b"x\r\n.\r\n")
    assert session.events == [
        ev.MailFrom(Mailbox("a", "example.org"), 3, "8BITMIME", True, "HDRS", "Q+1 x"),
        ev.RcptTo(Mailbox("b", "example.test"), (Notify.DELAY, Notify.FAILURE), "rfc822;B+tag@example.test"),
        ev.ContentBegins(chunking=False),
        ev.ContentChunk(b"x\r\n"),
        ev.ContentEnds(3),
    ]


def test_pipelined_input_waits_for_the_answer() -> None:
    machine = SmtpServer(STRANGER)
    machine.receive(b"EHLO a\r\nNOOP\r\n")
    assert machine.next_event() == ev.Hello("a", extended=True)
    assert machine.awaits_answer
    assert machine.next_event() is None
    assert machine.output() == b""
    assert machine.buffer_octets == 6
    machine.receive(b"RSET\r\n")
    machine.answer(Reply(250, "", "welcome"))
    assert machine.next_event() == ev.Reset()
    assert machine.output() == b"250 welcome\r\n250 2.0.0 Ok\r\n250 2.0.0 Reset\r\n"
    assert not machine.awaits_answer


def test_our_own_faults_are_told_apart() -> None:
    machine = SmtpServer(STRANGER)
    with pytest.raises(LocalProtocolError):
        machine.answer(None)
    with pytest.raises(LocalProtocolError):
        machine.challenge(b"")
    with pytest.raises(LocalProtocolError):
        machine.answer_each([])
    machine.receive(b"EHLO a\r\n")
    machine.next_event()
    with pytest.raises(LocalProtocolError):
        machine.challenge(b"")


def test_the_content_must_be_answered_with_a_reply() -> None:
    session = begin(rcpt=True)
    machine = session.machine
    session.line("DATA")
    machine.receive(b".\r\n")
    assert machine.next_event() == ev.ContentEnds(0)
    with pytest.raises(LocalProtocolError):
        machine.answer(None)


def test_refused_hello_greets_nobody() -> None:
    machine = SmtpServer(STRANGER)
    machine.receive(b"EHLO a\r\nMAIL FROM:<>\r\n")
    machine.next_event()
    machine.answer(Reply(550, "5.7.1", "No"))
    assert machine.next_event() == ev.CommandRefused(replies.HELLO_FIRST)


def test_refused_data_ends_the_transaction() -> None:
    session = begin(rcpt=True)
    session.machine.receive(b"DATA\r\nMAIL FROM:<>\r\n")
    session.machine.next_event()
    session.machine.answer(Reply(451, "4.3.0", "Later"))
    assert session.machine.next_event() == ev.MailFrom(None)
    assert session.machine.output() == b"451 4.3.0 Later\r\n"


def test_refused_chunk_is_swallowed() -> None:
    session = begin(rcpt=True)
    machine = session.machine
    machine.receive(b"BDAT 6\r\nNO")
    assert machine.next_event() == ev.ContentBegins(chunking=True)
    machine.answer(Reply(451, "4.3.0", "Later"))
    assert machine.next_event() is None
    assert machine.output() == b""
    machine.receive(b"OP\r\nNOOP\r\n")
    assert machine.next_event() is None
    assert machine.output() == b"451 4.3.0 Later\r\n250 2.0.0 Ok\r\n"


def test_in_transaction_from_mail_to_the_answer_to_the_content() -> None:
    session = begin()
    machine = session.machine
    seen = []
    for octets in (b"MAIL FROM:<>\r\n", b"RCPT TO:<b@example.test>\r\n", b"DATA\r\n", b"x\r\n", b".\r\n", b"NOOP\r\n"):
        session.send(octets)
        seen.append(machine.in_transaction)
    assert seen == [True, True, True, True, False, False]


@pytest.mark.parametrize("command", ["RSET", "EHLO again", "HELO again", "QUIT"])
def test_a_command_between_chunks_makes_the_session_forget(command: str) -> None:
    session = begin(rcpt=True)
    session.send(b"BDAT 3\r\nabc")
    session.events.clear()
    session.line(command)
    after = "Hello" if "again" in command else {"RSET": "Reset", "QUIT": "Quit"}[command]
    assert session.kinds() == ["ContentAborted", after]
    assert not session.machine.in_transaction


def test_refuse_says_its_reply_and_is_deaf_from_then_on() -> None:
    machine = SmtpServer(STRANGER)
    machine.receive(b"EHLO a\r\nNOOP\r\n")
    machine.next_event()
    machine.refuse(Reply(421, "4.3.2", "Shutting down"))
    assert machine.output() == b"421 4.3.2 Shutting down\r\n"
    machine.receive(b"NOOP\r\n")
    assert not machine.awaits_answer
    assert machine.next_event() is None
    assert machine.buffer_octets == 0
    machine.refuse(Reply(421, "4.3.2", "Again"))
    assert machine.output() == b""


def test_quit_is_the_last_thing_that_is_heard() -> None:
    session = begin()
    assert session.send(b"QUIT\r\nNOOP\r\n") == replies.BYE.wire
    assert session.events == [ev.Quit()]


def test_plain_octets_behind_our_220_end_the_session_in_silence() -> None:
    session = begin()
    assert session.line("STARTTLS") == "220 2.0.0 Ready to start TLS"
    assert session.send(b"EHLO attacker\r\n") == b""
    assert session.closed == "injection"


def test_starttls_checks_again_when_it_is_answered() -> None:
    session = begin()
    machine = session.machine
    machine.receive(b"STARTTLS\r\n")
    assert machine.next_event() == ev.StartTls()
    machine.receive(b"RSET\r\n")
    machine.answer(None)
    assert machine.next_event() == ev.Disconnect("injection")
    assert machine.output() == replies.TLS_INJECTION.wire


def test_injection_is_seen_before_the_session_hears_of_starttls() -> None:
    session = begin()
    assert session.send(b"STARTTLS\r\nRSET\r\n") == replies.TLS_INJECTION.wire
    assert session.events == [ev.Disconnect("injection")]


def test_starttls_that_the_session_refuses() -> None:
    session = begin()
    machine = session.machine
    machine.receive(b"STARTTLS\r\n")
    machine.next_event()
    machine.answer(Reply(454, "4.7.0", "TLS not available now"))
    assert machine.output() == b"454 4.7.0 TLS not available now\r\n"
    assert session.line("NOOP") == "250 2.0.0 Ok"


def test_errors_stay_counted_over_tls() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, error_limit=2))
    session.line("WHAT")
    session.line("STARTTLS")
    session.machine.tls_started()
    assert session.line("WHAT").startswith("421 4.7.0")


def test_configure_holds_from_the_next_command_on() -> None:
    session = begin()
    session.machine.configure(ServerSettings(hostname="mx.example.test", lenient_paths=True))
    assert session.line("MAIL FROM:a@example.org") == "250 2.1.0 Sender ok"


def test_the_error_that_ends_the_session() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, error_limit=2))
    session.send(b"WHAT\r\nWHAT\r\nNOOP\r\n")
    assert session.events == [
        ev.CommandRefused(replies.UNKNOWN_COMMAND),
        ev.CommandRefused(replies.TOO_MANY_ERRORS),
        ev.Disconnect("errors"),
    ]


def test_no_error_limit() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, error_limit=0))
    session.send(b"WHAT\r\n" * 100)
    assert not session.closed


def test_unknown_recipients_are_no_errors() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, error_limit=1))
    session.line("EHLO client.example.org")
    for _ in range(3):
        session.line("MAIL FROM:<a@example.org>")
        for number in range(5):
            assert session.line(f"RCPT TO:<unknown{number}@example.test>").startswith("550 5.1.1")
        assert session.line("DATA") == "554 5.5.1 No valid recipients"
        session.line("RSET")
    assert not session.closed


def test_a_list_that_is_too_long_keeps_its_letter() -> None:
    session = begin(msgspec.structs.replace(STRANGER, max_recipients=20, command_limit=10))
    session.line("MAIL FROM:<>")
    session.send(b"".join(b"RCPT TO:<%d@example.test>\r\n" % n for n in range(40)))
    assert session.line("DATA").startswith("354")
    session.send(b".\r\n")
    assert len(session.letters[0].recipients) == 20
    session.line("MAIL FROM:<>")
    replies = session.send(b"".join(b"RCPT TO:<%d@example.test>\r\n" % n for n in range(60))).splitlines()
    assert [reply[:3] for reply in replies] == [b"250"] * 20 + [b"452"] * 28 + [b"421"]


def test_what_is_pipelined_behind_a_refused_mail_is_no_error() -> None:
    session = begin(msgspec.structs.replace(STRANGER, require_auth=True, error_limit=2))
    session.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@example.test>\r\n" * 5 + b"DATA\r\n")
    assert session.events == [ev.CommandRefused(replies.MAIL_NEEDS_LOGIN)]
    assert session.line("DATA") == "503 5.5.1 Expected MAIL first"
    session.line("RSET")
    assert session.line("DATA").startswith("421")


@pytest.mark.parametrize("name", ["printer", "Copy room (2)", "[192.0.2.1]", "-", "a_b", "x" * 255])
def test_any_printable_helo_name(name: str) -> None:
    """# deviates RFC 5321 §4.1.1.1"""
    session = ScriptedSession()
    session.line(f"EHLO {name} ")
    assert session.events == [ev.Hello(name, extended=True)]


@pytest.mark.parametrize("name", [b"", b"   ", b"a\tb", b"caf\xc3\xa9", b"x\x7f", b"x" * 256])
def test_what_is_no_helo_name(name: bytes) -> None:
    session = ScriptedSession()
    assert session.send(b"HELO " + name + b"\r\n") == replies.EXPECTED_HELLO_NAME.wire


def test_blank_behind_the_colon() -> None:
    """# deviates RFC 5321 §4.1.1.2, §4.1.1.3"""
    session = begin()
    assert session.line("MAIL FROM: <a@example.org>  SIZE=3 ").startswith("250")
    assert session.line("RCPT TO:  <b@example.test> ").startswith("250")


def test_no_reply_repeats_what_the_client_sent() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, error_limit=0, auth_mechanisms=("PLAIN",)))
    session.line("EHLO client.example.org")
    for verb in [*COMMANDS, b"XYZ"]:
        for argument in (b"s3cret", b"FROM:<s3cret>", b"TO:<s3cret", b"FROM:<a@b> s3cret=s3cret", b"9 s3cret"):
            if verb not in (b"STARTTLS", b"QUIT"):
                assert b"s3cret" not in session.send(verb + b" " + argument + b"\r\n")


def test_a_dead_session_is_in_no_cycle() -> None:
    """Rule 3 of `machine`: ten thousand sessions are freed when they end, not when the collector comes."""
    import gc
    import weakref

    class Marked(SmtpServer):
        __slots__ = ("__weakref__",)

    machine = Marked(STRANGER)
    machine.receive(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.test>\r\nBDAT 3\r\na")
    while machine.next_event() is not None:
        if machine.awaits_answer:
            machine.answer(None)
    gone = weakref.ref(machine)
    gc.disable()
    try:
        del machine
        assert gone() is None
    finally:
        gc.enable()
