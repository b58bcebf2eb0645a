"""AUTH: the frame of the exchange (RFC 4954)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from ekiden.model.reply import Reply
from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.server import ServerSettings
from tests.dialog.scripted_session import LOGGED_IN, ScriptedSession, begin

DOOR = ServerSettings(
    hostname="mx.example.test", tls_active=True, auth_mechanisms=("PLAIN", "LOGIN"), require_tls=True, require_auth=True
)
PLAIN = b64encode(b"\0alice\0wonderland")


def test_events() -> None:
    session = begin(DOOR)
    session.send(b"AUTH login YWxpY2U=\r\n")
    session.send(b"d29uZGVybGFuZA==\r\n")
    assert session.events == [ev.Auth("LOGIN", b"alice"), ev.AuthResponse(b"wonderland")]


def test_an_empty_response_and_none_at_all() -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN =\r\n")
    session.send(b"AUTH PLAIN\r\n")
    session.send(b"\r\n")
    assert session.events == [ev.Auth("PLAIN", b""), ev.Auth("PLAIN", None), ev.AuthResponse(b"")]


@pytest.mark.parametrize("line", [b"=", b"YQ", b"YQ=", b"YQ==x", b"Y Q==", b"Y*==", b"YQ===", b"\xff"])
def test_base64_is_strict(line: bytes) -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN\r\n")
    assert session.send(line + b"\r\n") == replies.BAD_BASE64.wire
    assert session.events[1:] == [ev.AuthCancelled(), ev.CommandRefused(replies.BAD_BASE64)]
    assert session.line("NOOP") == "250 2.0.0 Ok"


def test_cancel_is_no_error() -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN\r\n")
    assert session.send(b"*\r\n") == replies.AUTH_CANCELLED.wire
    assert session.events[1:] == [ev.AuthCancelled()]


def test_a_long_response() -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN\r\n")
    response = b64encode(b"x" * 9207)
    for at in range(0, len(response), 1000):
        session.send(response[at : at + 1000])
    assert session.send(b"\r\n").startswith(b"535")
    assert session.events[1] == ev.AuthResponse(b"x" * 9207)


@pytest.mark.parametrize("piece", [1000, 20_000])
def test_a_response_that_is_too_long(piece: int) -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN\r\n")
    response = b"QUJD" * 4000 + b"\r\nNOOP\r\n"
    output = b"".join(session.send(response[at : at + piece]) for at in range(0, len(response), piece))
    assert output == replies.AUTH_LINE_TOO_LONG.wire + replies.NOOP.wire
    assert session.events[1:] == [ev.AuthCancelled(), ev.CommandRefused(replies.AUTH_LINE_TOO_LONG)]
    assert session.most_buffered <= 12_288


@pytest.mark.parametrize("line", [b"YQ\n==\r\n", b"YQ\0==\r\n", b"YQ\r==\r\n", b"\n"])
def test_bare_octets_in_a_response(line: bytes) -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN\r\n")
    assert session.send(line) == replies.BARE_OCTET.wire
    assert session.events[1:] == [ev.AuthCancelled(), ev.Disconnect("bare-lf")]


def test_the_last_error_in_an_exchange_ends_the_session() -> None:
    session = begin(ServerSettings(hostname="mx", auth_mechanisms=("PLAIN",), error_limit=1))
    session.send(b"AUTH PLAIN\r\n")
    assert session.send(b"!\r\n") == replies.TOO_MANY_ERRORS.wire
    assert session.kinds()[1:] == ["AuthCancelled", "CommandRefused", "Disconnect"]


def test_octets_behind_auth_and_behind_a_response() -> None:
    session = begin(DOOR)
    assert session.send(b"AUTH PLAIN " + PLAIN + b"\r\nNOOP\r\n") == replies.SENT_TOO_EARLY.wire
    assert session.closed == "pipelining"
    session = begin(DOOR)
    session.send(b"AUTH LOGIN\r\n")
    assert session.send(b"YWxpY2U=\r\nd29uZGVybGFuZA==\r\n") == replies.SENT_TOO_EARLY.wire
    assert session.kinds() == ["Auth", "AuthResponse", "AuthCancelled", "Disconnect"]


def test_only_235_is_a_login() -> None:
    session = begin(DOOR)
    session.machine.receive(b"AUTH PLAIN " + PLAIN + b"\r\n")
    session.machine.next_event()
    session.machine.answer(Reply(454, "4.7.0", "Busy"))
    assert session.line("MAIL FROM:<>").endswith("530 5.7.0 Other mail servers bring mail for our domains to port 25")
    session.machine.receive(b"AUTH PLAIN " + PLAIN + b"\r\n")
    session.machine.next_event()
    session.machine.answer(LOGGED_IN)
    assert session.line("MAIL FROM:<>").endswith("250 2.1.0 Sender ok")


def test_a_login_outlives_what_is_announced_but_not_tls() -> None:
    session = begin(DOOR)
    session.send(b"AUTH PLAIN " + PLAIN + b"\r\n")
    session.machine.configure(ServerSettings(hostname="mx.example.test", tls_active=True, require_auth=True))
    assert session.line("AUTH PLAIN") == "503 5.5.1 Authenticated already"
    assert session.line("MAIL FROM:<>") == "250 2.1.0 Sender ok"
    session.machine.tls_started()
    session.line("EHLO again")
    assert session.line("MAIL FROM:<>").startswith("530-5.7.0 Authentication required")


def test_a_door_without_auth_says_which_has_it() -> None:
    reply = Reply(502, "5.5.1", "No AUTH here: 465 or 587")
    session = begin(ServerSettings(hostname="mx.example.test", no_auth_reply=reply))
    assert session.line("AUTH PLAIN") == str(reply)


def test_the_mechanisms_are_not_shown_before_tls() -> None:
    settings = ServerSettings(
        hostname="mx.example.test", offer_starttls=True, require_tls=True, auth_mechanisms=("PLAIN",)
    )
    session = ScriptedSession(settings)
    assert "AUTH" not in session.line("EHLO a")
    assert session.line("AUTH PLAIN") == "530 5.7.0 Must issue a STARTTLS command first"
    assert session.line("STARTTLS").startswith("220")
    session.machine.tls_started()
    assert "AUTH PLAIN" in session.line("EHLO a")
