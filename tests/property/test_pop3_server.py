"""The POP3 machine under any input: never raises, and how the bytes are split changes nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ekiden.proto.pop3.multiline import DotStuffer, TopCutter
from ekiden.storage.maildir.crlf import LineEnds, ToCrlf
from tests.fakes.pop3_talk import CLEAR, SECURE, Pop3Talk

COMMANDS = [
    *(b"USER alice", b"PASS wonderland", b"PASS wrong", b"USER \xff", b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH plain ="),
    *(b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", b"AGFsaWNlAHdvbmRlcmxhbmQ=", b"*", b"YWxpY2U=", b"d29uZGVybGFuZA=="),
    *(b"CAPA", b"UTF8", b"STAT", b"LIST", b"LIST 1", b"UIDL", b"UIDL 3", b"RETR 1", b"RETR 2", b"RETR 3", b"TOP 1 1"),
    *(b"TOP 2 0", b"DELE 1", b"DELE 2", b"RSET", b"NOOP", b"QUIT", b"", b"XYZZY", b"a\nb", b"a\rb", b"\0", b"STLS"),
    *(b"x" * 600, b"AUTH PLAIN " + b"A" * 600, b"AUTH PLAIN " + b"A" * 13_000, b"NOOP\r"),
]
lines = st.lists(st.sampled_from(COMMANDS), max_size=25).map(lambda chosen: b"".join(c + b"\r\n" for c in chosen))
logged_in = lines.map(lambda rest: b"USER alice\r\nPASS wonderland\r\n" + rest)
dialogs = st.one_of(lines, logged_in)
cuts = st.lists(st.integers(1, 80), min_size=1, max_size=30)


def split(octets: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start, turn = [], 0, 0
    while start < len(octets):
        pieces.append(octets[start : start + sizes[turn % len(sizes)]])
        start += sizes[turn % len(sizes)]
        turn += 1
    return pieces


@given(dialogs, cuts, st.integers(1, 20))
def test_any_split_gives_the_same_events_and_output(octets: bytes, sizes: list[int], piece: int) -> None:
    whole = Pop3Talk(SECURE)
    expected = whole.send(octets)
    cut = Pop3Talk(SECURE, piece=piece)
    assert b"".join(cut.send(part) for part in split(octets, sizes)) == expected
    assert cut.events == whole.events
    assert (cut.closed, cut.machine.errors, cut.machine.state) == (
        whole.closed,
        whole.machine.errors,
        whole.machine.state,
    )


@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([c + b"\r\n" for c in COMMANDS])), max_size=40))
def test_any_bytes_are_borne(pieces: list[bytes]) -> None:
    for settings in (SECURE, CLEAR):
        talk = Pop3Talk(settings)
        for piece in pieces:
            for line in talk.send(piece).split(b"\r\n"):
                assert len(line) <= 510
        assert talk.machine.buffer_octets <= 12_288


@given(st.lists(st.sampled_from([c for c in COMMANDS if not c.startswith(b"STLS")]), max_size=25))
def test_no_credentials_are_taken_in_the_clear(chosen: list[bytes]) -> None:
    talk = Pop3Talk(CLEAR)
    talk.send(b"".join(c + b"\r\n" for c in chosen))
    assert {type(event).__name__ for event in talk.events} <= {"Quit", "Disconnect"}


content = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\r", b"\n", b"\r\n.", b"..", b"\r\n\r\n"]), max_size=40).map(
    b"".join
)


@given(content.map(lambda c: c.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")), cuts)
def test_dot_stuffing_is_undone_by_the_client(octets: bytes, sizes: list[int]) -> None:
    stuffer = DotStuffer()
    wire = b"".join(stuffer.feed(part) for part in split(octets, sizes)) + stuffer.finish()
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    lines = wire[:-3].split(b"\r\n")[:-1]
    assert b"." not in lines  # the end comes at the end
    received = b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)
    ends = LineEnds()
    ends.feed(octets)
    assert received in (octets, octets + b"\r\n")
    assert len(received) == ends.transmitted  # what LIST tells is what RETR sends


@given(content.map(lambda c: c.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")), st.integers(0, 5), cuts)
def test_top_is_the_header_and_so_many_lines(octets: bytes, count: int, sizes: list[int]) -> None:
    cutter = TopCutter(count)
    got = b"".join(cutter.feed(part) for part in split(octets, sizes))
    if octets.startswith(b"\r\n"):
        end = 2
    else:
        found = octets.find(b"\r\n\r\n")
        end = found + 4 if found >= 0 else len(octets)
    body = octets[end:].split(b"\r\n")
    rest = octets[end:] if len(body) <= count else b"".join(line + b"\r\n" for line in body[:count])
    assert got == octets[:end] + rest


@given(content, cuts)
def test_line_ends_are_made_crlf_however_split(octets: bytes, sizes: list[int]) -> None:
    made, ends = ToCrlf(), LineEnds()
    parts = split(octets, sizes)
    out = b"".join(made.feed(part) for part in parts)
    for part in parts:
        ends.feed(part)
    assert out == octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    final = 2 if out and not out.endswith(b"\r\n") else 0
    assert (ends.size, ends.transmitted) == (len(octets), len(out) + final)
