"""The POP3 machine, command by command (RFC 1939, 2449, 2595, 3206, 5034, 6856)."""

from __future__ import annotations

import base64

import pytest

from ekiden.model.wrong_door import WrongDoor
from ekiden.ports.mailboxes import DropItem
from ekiden.proto.pop3 import events as ev
from ekiden.proto.pop3 import replies as say
from ekiden.proto.pop3.drop import LISTED_AT_ONCE
from ekiden.proto.pop3.lines import AUTH_LINE, COMMAND_LINE
from ekiden.proto.pop3.server import OUTPUT_FIRST, Pop3Server, State
from tests.fakes.pop3_talk import CLEAR, MESSAGES, SECURE, Pop3Talk


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def logged_in(messages: tuple[bytes, ...] = MESSAGES) -> Pop3Talk:
    talk = Pop3Talk(messages=messages)
    talk.log_in()
    return talk


# --- AUTHORIZATION --------------------------------------------------------------------------------------------------


def test_greeting_names_the_host_and_offers_no_apop() -> None:
    machine = Pop3Server(SECURE)
    machine.greeting()
    banner = machine.output()
    assert banner == b"+OK mail.example.test POP3 ready\r\n"
    assert b"<" not in banner  # a time stamp would offer APOP (RFC 1939 §7)


def test_user_and_pass_open_the_maildrop() -> None:
    talk = Pop3Talk()
    assert talk.line("user alice") == "+OK Name noted, now PASS"
    assert talk.line("PASS wonderland") == "+OK 3 messages (72 octets)"
    assert talk.machine.state is State.TRANSACTION


def test_blanks_belong_to_the_password() -> None:
    talk = Pop3Talk()
    talk.send(b"USER bob\r\nPASS  two  words \r\n")
    assert talk.events == [ev.Login("bob", " two  words ")]


def test_utf8_name_and_password_need_no_utf8_command() -> None:
    talk = Pop3Talk()
    talk.line("USER jürgen")
    talk.line("PASS straße")
    assert talk.events == [ev.Login("jürgen", "straße")]


def test_passwords_show_in_no_repr() -> None:
    for event in (ev.Login("a", "secret"), ev.Auth("PLAIN", b"secret"), ev.AuthResponse(b"secret")):
        assert "secret" not in repr(event)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("PASS x", say.USER_FIRST),
        ("USER", say.NEED_NAME),
        ("AUTH", say.NEED_MECHANISM),
        ("AUTH CRAM-MD5", say.no_such_mechanism(("PLAIN", "LOGIN"))),
        ("AUTH PLAIN !!!!", say.NOT_BASE64),
        ("STLS now", say.NO_ARGUMENTS),
        ("APOP alice c4c9334bac560ecc979e58001b3e22fb", say.UNKNOWN_COMMAND),
        ("STAT", say.WRONG_STATE_LOGIN),
        ("RETR 1", say.WRONG_STATE_LOGIN),
        ("NOOP", say.WRONG_STATE_LOGIN),
        ("CAPA x", say.NO_ARGUMENTS),
        ("", say.UNKNOWN_COMMAND),
        ("XYZZY", say.UNKNOWN_COMMAND),
    ],
)
def test_errors_before_the_login(command: str, reply: say.Pop3Reply) -> None:
    talk = Pop3Talk()
    assert talk.send(command.encode() + b"\r\n") == reply.wire
    assert talk.machine.errors == 1
    assert not talk.events


@pytest.mark.parametrize(
    ("command", "reply", "what"),
    [
        ("STLS", say.TLS_ALREADY, WrongDoor.STARTTLS),
        ("EHLO client.example", say.SENT_ELSEWHERE, WrongDoor.SMTP),
        ("helo client.example", say.SENT_ELSEWHERE, WrongDoor.SMTP),
        ("MAIL FROM:<a@example.org>", say.SENT_ELSEWHERE, WrongDoor.SMTP),
    ],
)
def test_who_means_another_door_is_told_which(command: str, reply: say.Pop3Reply, what: WrongDoor) -> None:
    talk = Pop3Talk()
    assert talk.send(command.encode() + b"\r\n") == reply.wire
    assert talk.machine.errors == 1
    assert talk.events == [ev.Mistaken(what)]


def test_a_web_request_ends_there() -> None:
    talk = Pop3Talk()
    assert talk.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER alice\r\nPASS x\r\n") == say.NO_WEB_SERVER.wire
    assert talk.events == [ev.Mistaken(WrongDoor.HTTP), ev.Disconnect("http")]


def test_name_and_password_must_be_utf8() -> None:
    talk = Pop3Talk()
    assert talk.send(b"USER \xff\r\n") == say.NEED_NAME.wire
    assert talk.send(b"USER a\r\nPASS \xff\r\n").endswith(say.NEED_PASSWORD.wire)


def test_a_wrong_password_asks_for_the_name_again() -> None:
    talk = Pop3Talk()
    talk.line("USER alice")
    assert talk.line("PASS wrong") == "-ERR [AUTH] Login or password is wrong"
    assert talk.send(b"PASS wonderland\r\n") == say.USER_FIRST.wire


@pytest.mark.parametrize("command", ["USER alice", "PASS wonderland", "AUTH PLAIN", "AUTH PLAIN " + b64(b"\0a\0b")])
def test_no_login_without_tls(command: str) -> None:
    talk = Pop3Talk(CLEAR)
    assert talk.send(command.encode() + b"\r\n") == say.LOGIN_NEEDS_STLS.wire
    assert b"[AUTH]" in say.LOGIN_NEEDS_STLS.wire
    assert b"995" in say.LOGIN_NEEDS_STLS.wire
    assert not talk.events
    without_certificate = Pop3Talk(CLEAR._replace(offer_stls=False))
    assert without_certificate.send(command.encode() + b"\r\n") == say.LOGIN_NEEDS_995.wire


def test_capabilities_in_the_clear_announce_no_login() -> None:
    lines = Pop3Talk(CLEAR).line("CAPA").split("\r\n")
    assert lines[0].startswith("+OK")
    assert lines[-1] == "."
    assert set(lines[1:-1]) == {
        *("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER"),
        *("STLS", "IMPLEMENTATION Ekiden"),
    }


def test_capabilities_under_tls() -> None:
    talk = logged_in()
    lines = talk.line("CAPA").split("\r\n")
    assert {"USER", "SASL PLAIN LOGIN"} <= set(lines)
    assert "STLS" not in lines


def test_plain_with_initial_response() -> None:
    talk = Pop3Talk()
    assert talk.line("AUTH PLAIN " + b64(b"\0alice\0wonderland")).startswith("+OK")
    assert talk.machine.state is State.TRANSACTION


def test_plain_with_challenge() -> None:
    talk = Pop3Talk()
    assert talk.line("AUTH plain") == "+ "
    assert talk.line(b64(b"\0alice\0wonderland")).startswith("+OK")


def test_login_in_two_steps() -> None:
    talk = Pop3Talk()
    assert talk.line("AUTH LOGIN") == "+ " + b64(b"Username:")
    assert talk.line(b64(b"alice")) == "+ " + b64(b"Password:")
    assert talk.line(b64(b"wonderland")).startswith("+OK")


def test_empty_initial_response() -> None:
    talk = Pop3Talk()
    talk.line("AUTH PLAIN =")
    assert talk.events == [ev.Auth("PLAIN", b"")]


def test_cancelled_exchange() -> None:
    talk = Pop3Talk()
    talk.line("AUTH PLAIN")
    assert talk.send(b"*\r\n") == say.CANCELLED.wire
    assert talk.events[-1] == ev.AuthCancelled()
    assert talk.machine.errors == 0
    assert talk.line("USER alice").startswith("+OK")


def test_a_response_that_is_no_base64_ends_the_exchange() -> None:
    talk = Pop3Talk()
    talk.line("AUTH PLAIN")
    assert talk.send(b"%%%\r\n") == say.NOT_BASE64.wire
    assert talk.events[-1] == ev.AuthCancelled()
    assert talk.line("USER alice").startswith("+OK")


def test_auth_lines_may_be_long_and_have_a_limit() -> None:
    talk = Pop3Talk()
    talk.line("AUTH PLAIN")
    longest = b"QUJD" * (AUTH_LINE // 4 - 1) + b"\r\n"
    assert AUTH_LINE - 4 < len(longest) <= AUTH_LINE
    assert talk.send(longest) == say.WRONG_LOGIN.wire
    talk.line("AUTH PLAIN")
    assert talk.send(b"QUJD" * (AUTH_LINE // 4) + b"\r\n") == say.LINE_TOO_LONG.wire
    assert talk.events[-1] == ev.AuthCancelled()
    assert talk.send(b"AUTH PLAIN " + b"A" * 2000 + b"\r\n") == say.WRONG_LOGIN.wire  # the initial response too


def test_no_second_login() -> None:
    talk = logged_in()
    for command in (b"USER bob", b"PASS x", b"AUTH PLAIN", b"STLS", b"UTF8"):
        assert talk.send(command + b"\r\n") == say.WRONG_STATE_DONE.wire


def test_utf8() -> None:
    talk = Pop3Talk()
    assert talk.send(b"UTF8 please\r\n") == say.NO_ARGUMENTS.wire
    assert talk.send(b"UTF8\r\n") == say.UTF8_ON.wire
    assert talk.machine.utf8


def test_quit_before_the_login() -> None:
    talk = Pop3Talk()
    assert talk.line("QUIT") == "+OK Goodbye"
    assert talk.deleted == ()
    assert talk.closed == "quit"


# --- STLS -----------------------------------------------------------------------------------------------------------


def test_stls_forgets_what_was_said_before() -> None:
    talk = Pop3Talk(CLEAR)
    talk.line("UTF8")
    assert talk.line("STLS") == "+OK Begin TLS negotiation now"
    assert talk.events == [ev.StartTls()]
    talk.machine.tls_started(CLEAR._replace(tls_active=True, offer_stls=False))
    assert not talk.machine.utf8
    assert talk.send(b"PASS x\r\n") == say.USER_FIRST.wire
    assert talk.line("USER alice").startswith("+OK")
    assert talk.send(b"STLS\r\n") == say.TLS_ALREADY.wire


def test_stls_without_certificate() -> None:
    assert Pop3Talk(CLEAR._replace(offer_stls=False)).send(b"STLS\r\n") == say.NO_TLS_HERE.wire


@pytest.mark.parametrize("behind", [b"U", b"USER alice\r\n", b"\r\n", b"\0"])
def test_octets_behind_stls_end_the_session(behind: bytes) -> None:
    talk = Pop3Talk(CLEAR)
    assert talk.send(b"STLS\r\n" + behind) == say.INJECTION.wire
    assert talk.closed == "injection"
    assert talk.events == [ev.Disconnect("injection")]
    assert talk.send(b"QUIT\r\n") == b""


def test_plain_octets_before_the_handshake_end_the_session_without_a_word() -> None:
    talk = Pop3Talk(CLEAR)
    talk.line("STLS")
    assert talk.send(b"USER alice\r\n") == b""
    assert talk.closed == "injection"


# --- TRANSACTION ----------------------------------------------------------------------------------------------------


def test_stat_list_uidl() -> None:
    talk = logged_in()
    assert talk.line("STAT") == "+OK 3 72"
    assert talk.line("LIST") == "+OK 3 messages (72 octets)\r\n1 36\r\n2 30\r\n3 6\r\n."
    assert talk.line("LIST 2") == "+OK 2 30"
    assert talk.line("UIDL") == "+OK 3 messages (72 octets)\r\n1 uid-1\r\n2 uid-2\r\n3 uid-3\r\n."
    assert talk.line("UIDL 3 ") == "+OK 3 uid-3"


def test_empty_maildrop() -> None:
    talk = logged_in(messages=())
    assert talk.line("STAT") == "+OK 0 0"
    assert talk.line("LIST") == "+OK 0 messages (0 octets)\r\n."
    assert talk.send(b"RETR 1\r\n") == say.NO_SUCH_MESSAGE.wire


def test_retr_stuffs_dots_and_ends_with_crlf() -> None:
    talk = logged_in()
    assert talk.line("RETR 1") == "+OK 36 octets\r\nSubject: one\r\n\r\n..dot\r\n...two\r\nthree\r\n."
    assert talk.line("RETR 2") == "+OK 30 octets\r\nSubject: two\r\nX: y\r\n\r\nno end\r\n."


def test_retr_of_what_another_program_deleted() -> None:
    talk = logged_in()
    assert talk.send(b"RETR 3\r\nNOOP\r\n") == say.MESSAGE_GONE.wire + say.NOTHING_DONE.wire


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_top(piece: int) -> None:
    talk = Pop3Talk(piece=piece)
    talk.log_in()
    assert talk.line("TOP 1 0") == "+OK The top follows\r\nSubject: one\r\n\r\n."
    assert talk.line("TOP 1 2") == "+OK The top follows\r\nSubject: one\r\n\r\n..dot\r\n...two\r\n."
    assert talk.line("TOP 2 9999999999").endswith("X: y\r\n\r\nno end\r\n.")


def test_top_needs_no_more_than_its_lines() -> None:
    talk = logged_in()
    machine = talk.machine
    machine.receive(b"TOP 1 1\r\n")
    assert machine.next_event() == ev.Retrieve(0, 1)
    machine.answer(None)
    machine.content(b"A: b\r\n\r\n1\r\n")
    assert not machine.wants_content
    machine.content(b"2\r\n")  # harmless
    machine.end_content()
    assert machine.output().endswith(b"\r\n\r\n1\r\n.\r\n")


def test_dele_rset_and_quit() -> None:
    talk = logged_in()
    assert talk.line("DELE 2") == "+OK Message 2 will be deleted at QUIT"
    assert talk.line("STAT") == "+OK 2 42"
    for command in (b"DELE 2", b"LIST 2", b"UIDL 2", b"RETR 2", b"TOP 2 0"):
        assert talk.send(command + b"\r\n") == say.NO_SUCH_MESSAGE.wire
    assert talk.line("UIDL").endswith("1 uid-1\r\n3 uid-3\r\n.")  # numbers stay
    assert talk.line("RSET") == "+OK 3 messages (72 octets)"
    assert talk.line("LIST 2") == "+OK 2 30"
    talk.line("DELE 3")
    talk.line("DELE 1")
    assert talk.line("QUIT") == "+OK Goodbye"
    assert talk.deleted == (0, 2)
    assert talk.machine.state is State.UPDATE
    assert talk.machine.errors == 0


def test_quit_that_could_not_delete_all() -> None:
    machine = logged_in().machine
    machine.receive(b"DELE 1\r\nQUIT\r\n")
    assert machine.next_event() == ev.Quit((0,))
    machine.answer(say.NOT_ALL_REMOVED)
    assert machine.output().endswith(say.NOT_ALL_REMOVED.wire)
    assert machine.next_event() == ev.Disconnect("quit")


@pytest.mark.parametrize("argument", ["", " 0x1", " -1", " ١", " 1 2", " 99999999999"])
def test_message_numbers_are_plain_digits(argument: str) -> None:
    talk = logged_in()
    for verb in ("RETR", "DELE"):
        assert talk.line(verb + argument) == say.NEED_NUMBER.wire.decode().rstrip()
    assert talk.machine.errors == 2


@pytest.mark.parametrize("command", ["TOP", "TOP 1", "TOP 1 x", "TOP 1 -1"])
def test_top_needs_two_numbers(command: str) -> None:
    assert logged_in().send(command.encode() + b"\r\n") == say.NEED_TWO_NUMBERS.wire


@pytest.mark.parametrize("number", ["0", "4"])
def test_numbers_that_no_message_has(number: str) -> None:
    assert logged_in().send(b"RETR %s\r\n" % number.encode()) == say.NO_SUCH_MESSAGE.wire


@pytest.mark.parametrize("command", ["STAT 1", "NOOP 1", "RSET 1", "QUIT now"])
def test_commands_without_arguments(command: str) -> None:
    assert logged_in().send(command.encode() + b"\r\n") == say.NO_ARGUMENTS.wire


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_command_line_has_a_limit() -> None:
    talk = Pop3Talk()
    name = b"a" * (COMMAND_LINE - len(b"USER \r\n"))
    assert talk.send(b"USER " + name + b"\r\n") == say.NAME_NOTED.wire
    assert talk.send(b"USER a" + name + b"\r\n") == say.LINE_TOO_LONG.wire
    assert talk.send(b"QUIT\r\n") == say.GOODBYE.wire


def test_an_endless_line_takes_no_memory() -> None:
    talk = Pop3Talk()
    for _ in range(1000):
        assert talk.send(b"x" * 1000) == b""
        assert talk.machine.buffer_octets <= 1
    assert talk.send(b"\r\n") == say.LINE_TOO_LONG.wire


@pytest.mark.parametrize("line", [b"NOOP\nQUIT", b"USER a\0", b"NOOP\rQUIT", b"\nCAPA"])
def test_only_crlf_ends_a_command(line: bytes) -> None:
    talk = Pop3Talk()
    assert talk.send(line + b"\r\n") == say.NOT_ALLOWED_OCTETS.wire
    assert not talk.events


def test_too_many_errors_close() -> None:
    talk = Pop3Talk(SECURE._replace(error_limit=3))
    assert talk.send(b"A\r\nB\r\nC\r\nQUIT\r\n") == say.UNKNOWN_COMMAND.wire * 2 + say.TOO_MANY_ERRORS.wire
    assert talk.events == [ev.Disconnect("errors")]
    assert talk.send(b"QUIT\r\n") == b""


def test_pipelined_commands_wait_for_owed_answers() -> None:
    machine = Pop3Server(SECURE)
    machine.receive(b"USER alice\r\nPASS x\r\nSTAT\r\nQUIT\r\n")
    assert machine.next_event() == ev.Login("alice", "x")
    assert machine.next_event() is None
    machine.enter([DropItem("u", 5)], 5)
    assert machine.next_event() == ev.Quit()
    assert machine.output() == say.NAME_NOTED.wire + b"+OK 1 messages (5 octets)\r\n+OK 1 5\r\n"


def test_listings_come_in_pieces() -> None:
    count = 5 * LISTED_AT_ONCE + 1
    machine = Pop3Server(SECURE)
    machine.receive(b"USER a\r\nPASS x\r\n")
    machine.next_event()
    machine.enter([DropItem("u", 1)] * count, count)
    machine.output()
    machine.receive(b"LIST\r\nNOOP\r\n")
    pieces = []
    while True:
        assert machine.next_event() is None
        piece = machine.output()
        if not piece:
            break
        pieces.append(piece)
    assert max(map(len, pieces)) < 32 * 1024
    lines = b"".join(pieces).split(b"\r\n")
    assert len(lines) == 1 + count + 1 + 1 + 1
    assert lines[-3:] == [b".", b"+OK Nothing done", b""]
    assert lines[count] == b"%d 1" % count


def test_output_that_is_not_taken_holds_back_commands() -> None:
    machine = Pop3Server(SECURE)
    machine.receive(b"CAPA\r\n" * 10_000)
    assert machine.next_event() is None
    assert len(machine.output()) < OUTPUT_FIRST + 1000
    assert machine.buffer_octets > 50_000


def test_refuse_is_the_last_word() -> None:
    machine = Pop3Server(SECURE)
    machine.receive(b"USER a\r\nPASS b\r\n")
    machine.next_event()
    machine.refuse(say.SHUTTING_DOWN)
    machine.receive(b"NOOP\r\n")
    assert machine.next_event() is None
    assert machine.output().endswith(say.SHUTTING_DOWN.wire)


def test_replies_are_one_line_of_512_octets() -> None:
    reply = say.err("é" * 1000 + "\r\nQUIT", "SYS/TEMP")
    assert len(reply.wire) <= 512
    assert reply.wire.count(b"\r\n") == 1
    assert say.ok("a\r\nb").wire == b"+OK a  b\r\n"
    assert say.ok("x") == say.ok("x") != say.err("x")
