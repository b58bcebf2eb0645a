"""Properties of the SMTP server machine and of paths, for any octets and any way to split them."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ekiden.model.mailbox import Mailbox
from ekiden.model.path import PathError, parse_path, render_path
from ekiden.proto.smtp import events as ev
from tests.dialog.scripted_session import STRANGER, ScriptedSession, begin

#: Small limits, so that they are met.
DOORS = [
    msgspec.structs.replace(
        STRANGER, size_limit=60, error_limit=6, lenient_lf=lenient, lenient_paths=lenient, auth_mechanisms=("PLAIN",)
    )
    for lenient in (False, True)
]
COMMANDS = [
    b"EHLO a\r\n",
    b"HELO b c\r\n",
    b"MAIL FROM:<a@example.org>\r\n",
    b"MAIL FROM:<> SIZE=61\r\n",
    b"MAIL FROM:<\xc3\xa9@example.org> SMTPUTF8\r\n",
    b"MAIL FROM:a@example.org\r\n",
    b"RCPT TO:<b@example.test>\r\n",
    b"RCPT TO:<unknown@example.test>\r\n",
    b"RCPT TO:<c@example.test> NOTIFY=NEVER\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"WHAT\r\n",
    b"\r\n",
    b"QUIT\r\n",
    b"x" * 520 + b"\r\n",
    b"BDAT 5\r\nab\r\nc",
    b"BDAT 3\r\n.\r\n",
    b"BDAT 2\r\n\n\r",
    b"BDAT 3\r\na\nb",
    b"BDAT 30\r\n" + b"y" * 30,
    b"BDAT 0 LAST\r\n",
    b"BDAT 4 LAST\r\nab\r\n",
    b"BDAT 9\r\n",
]
ENVELOPE = b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\n"
CONTENT = [b"\r\n", b".", b"\r\n.\r\n", b"..", b"text", b"\r", b"\n", b"\0", b"\r\n.", b"z" * 25, b"\xe9"]

content_flight = st.lists(st.sampled_from(CONTENT), max_size=12).map(b"".join)
commands_flight = st.lists(st.sampled_from(COMMANDS), max_size=8).map(b"".join)
letter_flights = st.builds(
    lambda before, content, after: [before + ENVELOPE + b"DATA\r\n", content + b"\r\n.\r\n" + after],
    st.sampled_from([b"", b"NOOP\r\n", b"WHAT\r\n"]),
    content_flight,
    commands_flight,
)
#: What a client may send without waiting; DATA only at the end of one (else the split decides, and must: rule 3).
conversations = st.lists(st.one_of(commands_flight.map(lambda f: [f]), letter_flights), max_size=4).map(
    lambda parts: [flight for part in parts for flight in part]
)


def told(session: ScriptedSession) -> list[object]:
    """Events, with pieces of content joined, and those of content that was refused left out."""
    out: list[object] = []
    content = b""
    for event in session.events:
        match event:
            case ev.ContentChunk():
                content += event.data
                continue
            case ev.ContentEnds():
                out.append(content)
        content = b""
        out.append(event)
    return out


def play(flights: list[bytes], door: int, cuts: list[int] | None) -> tuple[list[object], bytes, str]:
    """`cuts`: the sizes of the pieces, again and again; None: a flight at once."""
    session = ScriptedSession(DOORS[door])
    output = b""
    turn = 0
    for flight in flights:
        at = 0
        while at < len(flight):
            size = len(flight) if cuts is None else cuts[turn % len(cuts)]
            turn += 1
            output += session.send(flight[at : at + size])
            at += size
    return told(session), output, session.closed


@settings(max_examples=300, deadline=None)
@given(conversations, st.integers(0, 1), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_any_split_gives_the_same_events_and_replies(flights: list[bytes], door: int, cuts: list[int]) -> None:
    whole = play(flights, door, None)
    assert play(flights, door, cuts) == whole
    assert play(flights, door, [1]) == whole


@settings(max_examples=300, deadline=None)
@given(content_flight, content_flight, st.integers(0, 1), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_any_split_of_content(content: bytes, more: bytes, door: int, cuts: list[int]) -> None:
    flights = [ENVELOPE + b"DATA\r\n", content + b"\r\n.\r\n" + more]
    whole = play(flights, door, None)
    assert play(flights, door, cuts) == whole
    assert play(flights, door, [1]) == whole


def stuff(content: bytes) -> bytes:
    """RFC 5321 §4.5.2, written as the RFC says it: line by line."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.translate(None, b"\r\n\0")) | st.sampled_from([b".", b"..", b""])),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_content_comes_out_as_it_went_in(lines: list[bytes], cuts: list[int]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    session = begin(msgspec.structs.replace(STRANGER, size_limit=0), rcpt=True)
    session.line("DATA")
    wire = stuff(content)
    at = turn = 0
    while at < len(wire):
        session.send(wire[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    assert [letter.content for letter in session.letters] == [content]


anything = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([*COMMANDS, *CONTENT, ENVELOPE, b"DATA\r\n", b"AUTH PLAIN\r\n", b"STARTTLS\r\n", b"AUTH "]),
    ),
    max_size=20,
)


@settings(max_examples=500, deadline=None)
@given(anything, st.integers(0, 1))
def test_any_octets_give_events_and_replies(pieces: list[bytes], door: int) -> None:
    session = ScriptedSession(DOORS[door])
    for piece in pieces:
        output = session.send(piece)
        assert output == b"" or output.endswith(b"\r\n")
        assert session.machine.buffer_octets <= 12_288
    if session.closed:
        assert session.send(b"NOOP\r\n") == b""


# --- paths ------------------------------------------------------------------------------------------------------

ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
atoms = st.text(ATEXT + ".", min_size=1, max_size=20).filter(lambda text: text.strip("."))
quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True).filter(
    lambda label: label[2:4] != "--"
)
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
literals = st.one_of(
    st.ip_addresses(v=4).map(lambda address: f"[{address}]"), st.ip_addresses(v=6).map(lambda a: f"[IPv6:{a}]")
)
mailboxes = st.builds(Mailbox, atoms | quoted, domains | literals)
utf8_mailboxes = st.builds(Mailbox, st.text("äöü用户.é", min_size=1).filter(lambda t: t.strip(".")), domains)


@settings(max_examples=300)
@given(st.none() | mailboxes, st.sampled_from([b"", b" SIZE=1", b' X=<">[]']), st.booleans())
def test_a_rendered_path_parses_to_itself(path: Mailbox | None, rest: bytes, lenient: bool) -> None:
    assert parse_path(render_path(path) + rest, utf8=False, lenient=lenient) == (path, rest)


@given(utf8_mailboxes)
def test_a_rendered_utf8_path_too(path: Mailbox) -> None:
    assert parse_path(render_path(path), utf8=True, lenient=False) == (path, b"")


@settings(max_examples=500)
@given(
    st.binary(max_size=60)
    | st.text('<>@[]":\\.,a1-é \r\nIPv6:', max_size=40).map(str.encode)
    | st.text('<>@[]":\\.,a1', max_size=30).map(lambda t: f"<{t}@x>".encode()),
    st.booleans(),
    st.booleans(),
)
def test_any_octets_are_a_path_or_a_path_error(octets: bytes, utf8: bool, lenient: bool) -> None:
    try:
        path, rest = parse_path(octets, utf8=utf8, lenient=lenient)
    except PathError:
        return
    assert octets.endswith(rest)
    assert parse_path(render_path(path), utf8=utf8, lenient=False) == (path, b"")
    if path is not None:
        rendered = render_path(path)
        assert not any(octet < 32 or octet == 127 for octet in rendered)
