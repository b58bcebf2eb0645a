"""Command lines: their limits, and what is no line."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.lines import AUTH_LINE, COMMAND_LINE, line_limit
from ekiden.proto.smtp.server import ServerSettings
from tests.dialog.scripted_session import STRANGER, ScriptedSession, begin

DOOR = ServerSettings(hostname="mx.example.test", auth_mechanisms=("PLAIN", "LOGIN"), error_limit=0)


def padded(start: bytes, length: int) -> bytes:
    return start + b"x" * (length - len(start) - 2) + b"\r\n"


@pytest.mark.parametrize("split", [0, 1])
def test_limits_by_verb(split: int) -> None:
    for verb in (b"NOOP", b"MAIL", b"rcpt", b"AUTH", b"XYZ"):
        limit = line_limit(verb + b" ", 0)
        for octets, too_long in ((padded(verb + b" ", limit), False), (padded(verb + b" ", limit + 1), True)):
            session = ScriptedSession(DOOR)
            pieces = [octets[at : at + 1] for at in range(len(octets))] if split else [octets]
            output = b"".join(session.send(piece) for piece in pieces)
            assert (output == replies.LINE_TOO_LONG.wire) is too_long, (verb, limit)
            assert session.line("NOOP") == "250 2.0.0 Ok"


def test_the_limits_are_those_of_the_rfcs() -> None:
    assert COMMAND_LINE == 512
    assert AUTH_LINE == 12_288
    assert line_limit(b"MAIL FROM:<>", 0) >= 512 + 26 + 10 + 500
    assert line_limit(b"RCPT TO:<>", 0) >= 512 + 500
    assert line_limit(b"xxNOOP", 2) == 512


def test_a_line_without_end_never_grows_the_buffer() -> None:
    session = ScriptedSession(DOOR)
    session.send(b"x" * 100_000)
    for _ in range(200):
        assert session.send(b"x" * 65536) == b""
        assert session.machine.buffer_octets == 0
    assert session.kinds() == ["CommandRefused"]
    assert session.send(b"\r\nNOOP\r\n") == replies.NOOP.wire


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.parametrize(
    "octets", [b"NOOP\n", b"NO\nOP\r\n", b"NOOP\r\r\n", b"NOOP\rx", b"NO\0OP\r\n", b"\n", b"\0", b"x" * 300 + b"\n"]
)
def test_bare_octets_in_commands(octets: bytes, split: int) -> None:
    session = begin(msgspec.structs.replace(STRANGER, lenient_lf=True))
    pieces = [octets[at : at + 1] for at in range(len(octets))] if split else [octets]
    output = b"".join(session.send(piece) for piece in pieces)
    assert output == replies.BARE_OCTET.wire
    assert session.events == [ev.Disconnect("bare-lf")]


def test_bare_octets_in_a_line_that_is_skipped() -> None:
    session = ScriptedSession(DOOR)
    assert session.send(b"x" * 600 + b"\nNOOP\r\n") == replies.LINE_TOO_LONG.wire + replies.BARE_OCTET.wire
    assert session.closed == "bare-lf"


def test_a_cr_at_the_limit_is_not_judged_before_its_time() -> None:
    session = ScriptedSession(DOOR)
    assert session.send(b"NOOP ".ljust(510, b"x") + b"\r") == b""
    assert session.send(b"\n") == replies.NOOP.wire
    assert session.send(b"NOOP ".ljust(510, b"x") + b"\r") == b""
    assert session.send(b"x") == replies.BARE_OCTET.wire


def test_an_empty_line_is_no_command() -> None:
    assert ScriptedSession(DOOR).send(b"\r\n") == replies.GARBAGE.wire
