"""Content: dots, sizes, bare octets, chunks; and that none of it is ever held."""

from __future__ import annotations

import json

import msgspec
import pytest

from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.server import ServerSettings
from tests.dialog.scripted_session import STRANGER, ScriptedSession, begin
from tests.suites import suite

LARGE = msgspec.structs.replace(STRANGER, size_limit=200 * 1024 * 1024)
LENIENT = msgspec.structs.replace(STRANGER, lenient_lf=True)
SEQUENCES = "smtp/smuggling-sequences.json"


def send_data(octets: bytes, settings: ServerSettings = STRANGER, *, piece: int = 0) -> ScriptedSession:
    session = begin(settings, rcpt=True)
    session.line("DATA")
    step = piece or len(octets)
    for at in range(0, len(octets), step):
        session.send(octets[at : at + step])
    return session


@pytest.mark.parametrize("piece", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"x\r\n.\r\n", b"x\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..x\r\n...\r\n.\r\n", b".x\r\n..\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"x\r\n..\r\ny.\r\n.\r\n", b"x\r\n.\r\ny.\r\n"),
        (b"\r\n\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n\r\n.\r\n\r\n"),
        (b"8-bit \xff\xfe\x80\r\n.\r\n", b"8-bit \xff\xfe\x80\r\n"),
        (b"x" * 600 + b"\r\n.\r\n", b"x" * 600 + b"\r\n"),
    ],
)
def test_dots(wire: bytes, content: bytes, piece: int) -> None:
    session = send_data(wire, piece=piece)
    assert [letter.content for letter in session.letters] == [content]


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize(
    "bare", [b"\n", b"\r", b"\0", b"\r\r", b"\n\r", b"\r.", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n"]
)
def test_bare_octets_end_the_session(bare: bytes, piece: int) -> None:
    session = send_data(b"one\r\ntwo" + bare + b"three\r\n.\r\nNOOP\r\n", piece=piece)
    assert session.closed == "bare-lf"
    assert session.letters == []
    assert session.aborted == [replies.BARE_OCTET]
    assert session.events[-2:] == [ev.ContentAborted(replies.BARE_OCTET), ev.Disconnect("bare-lf")]


def test_a_bare_cr_and_a_bare_lf_far_apart_are_no_pair() -> None:
    assert send_data(b"one\rtwo\nthree\r\n.\r\n").closed == "bare-lf"


@pytest.mark.parametrize("piece", [0, 1, 2])
@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b"a\nb\r\n.\r\n", b"a\r\nb\r\n"),
        (b"\n\n\r\n\n.\r\n.\r\n", b"\r\n\r\n\r\n\r\n.\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n..b\r\n.\r\n", b"a\r\n..b\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    ],
)
def test_bare_lf_is_made_crlf_for_those_we_trust(wire: bytes, content: bytes, piece: int) -> None:
    session = send_data(wire, LENIENT, piece=piece)
    assert [(letter.content, letter.had_bare_lf) for letter in session.letters] == [(content, True)]


def test_clean_content_has_no_bare_lf() -> None:
    assert not send_data(b"a\r\n.\r\n", LENIENT).letters[0].had_bare_lf


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("bare", [b"\r", b"\0", b"\n\r", b"\r\r\n"])
def test_bare_cr_and_nul_are_refused_from_everybody(bare: bytes, piece: int) -> None:
    assert send_data(b"a\nb" + bare + b"c\r\n.\r\n", LENIENT, piece=piece).closed == "bare-lf"


def sequences() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(suite(SEQUENCES).read_text())["not_end_of_data"]
    return found


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("piece", [0, 1])
def test_smuggling_sequences(lenient: bool, piece: int) -> None:
    found = sequences()
    assert len(found) >= 12
    settings = LENIENT if lenient else STRANGER
    for sequence in found:
        octets = bytes.fromhex(str(sequence["hex"]))
        smuggled = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nx\r\n.\r\n"
        session = send_data(b"a\r\n\r\nbody" + octets + smuggled, settings, piece=piece)
        senders = [str(letter.mail.reverse_path) for letter in session.letters]
        assert "admin@example.test" not in senders, sequence["id"]
        if lenient and b"\r" not in octets.replace(b"\r\n", b"") and b"\0" not in octets:
            assert len(session.letters) == 1, sequence["id"]
            assert session.letters[0].content.endswith(b"DATA\r\nx\r\n"), sequence["id"]
        else:
            assert session.closed == "bare-lf", sequence["id"]
            assert session.letters == [], sequence["id"]


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_too_large_is_told_early_and_answered_at_the_end(piece: int) -> None:
    session = begin(rcpt=True)
    session.line("DATA")
    assert session.send(b"x" * 998 + b"\r\ny") == b""
    assert session.aborted == [replies.TOO_LARGE]
    assert session.machine.in_transaction
    session.events.clear()
    rest = b"..QUIT\r\n" * 50 + b"\r\n.\r\nNOOP\r\n"
    step = piece or len(rest)
    output = b"".join(session.send(rest[at : at + step]) for at in range(0, len(rest), step))
    assert output == replies.TOO_LARGE.wire + replies.NOOP.wire
    assert session.events == []
    assert session.most_buffered <= 8


def test_exactly_as_large_as_allowed() -> None:
    session = send_data(b"..x" + b"x" * 996 + b"\r\n.\r\n")
    assert len(session.letters[0].content) == 1000
    assert send_data(b"..x" + b"x" * 997 + b"\r\n.\r\n").aborted == [replies.TOO_LARGE]


@pytest.mark.parametrize("piece", [0, 1])
def test_bare_octets_behind_too_much_content(piece: int) -> None:
    session = send_data(b"x" * 1001 + b"\nMAIL\r\n.\r\n", piece=piece)
    assert session.aborted == [replies.TOO_LARGE]
    assert session.closed == "bare-lf"


def test_no_size_limit() -> None:
    session = send_data(b"x" * 5000 + b"\r\n.\r\n", msgspec.structs.replace(STRANGER, size_limit=0))
    assert len(session.letters[0].content) == 5002


def feed(octets: bytes, times: int) -> tuple[int, int]:
    """Feeds a piece again and again without keeping what comes: octets that came out, and the most that was held."""
    session = begin(LARGE, rcpt=True)
    session.line("DATA")
    machine = session.machine
    count = most = 0
    for _ in range(times):
        machine.receive(octets)
        while (event := machine.next_event()) is not None:
            assert type(event) is ev.ContentChunk
            count += len(event.data)
        most = max(most, machine.buffer_octets)
    machine.receive(b"\r\n.\r\n")
    while (event := machine.next_event()) is not None:
        count += len(event.data) if type(event) is ev.ContentChunk else 0
    assert machine.awaits_answer
    return count, most


def test_a_hundred_megabytes_are_never_held() -> None:
    octets = (b"x" * 76 + b"\r\n") * 840
    count, most = feed(octets, 1600)
    assert count == len(octets) * 1600 + 2
    assert most <= 4


def test_one_endless_line() -> None:
    """# deviates RFC 5321 §4.5.3.1.6: a line of 100 MB goes through as it came."""
    count, most = feed(b"x" * 65536, 1600)
    assert count == 65536 * 1600 + 2
    assert most == 0


# --- BDAT -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [0, 1, 5])
def test_chunks_are_taken_as_they_are(piece: int) -> None:
    session = begin(rcpt=True)
    wire = b"BDAT 7\r\n.\r\nabc\rBDAT 5\r\n\n.\r\nxBDAT 2 LAST\r\n\r\nNOOP\r\n"
    step = piece or len(wire)
    output = b"".join(session.send(wire[at : at + step]) for at in range(0, len(wire), step))
    assert [letter.content for letter in session.letters] == [b".\r\nabc\r\n.\r\nx\r\n"]
    assert output.count(b"250 ") == 4


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("chunk", [b"a\nb", b"a\rb", b"a\0b", b"ab\r", b"\nab"])
def test_bare_octets_in_the_last_chunk(chunk: bytes, piece: int) -> None:
    session = begin(rcpt=True)
    wire = b"BDAT 3 LAST\r\n" + chunk + b"NOOP\r\n"
    step = piece or len(wire)
    output = b"".join(session.send(wire[at : at + step]) for at in range(0, len(wire), step))
    assert output == replies.BARE_OCTET.wire + replies.NOOP.wire
    assert session.aborted == [replies.BARE_OCTET]
    assert session.letters == []
    assert not session.machine.in_transaction


def test_a_cr_between_two_chunks_that_stays_alone() -> None:
    session = begin(rcpt=True)
    session.send(b"BDAT 2\r\na\rBDAT 2 LAST\r\nbc")
    assert session.aborted == [replies.BARE_OCTET]


def test_bare_lf_in_chunks_of_those_we_trust() -> None:
    session = begin(LENIENT, rcpt=True)
    session.send(b"BDAT 2\r\na\rBDAT 4 LAST\r\n\nb\nc")
    assert [(letter.content, letter.had_bare_lf) for letter in session.letters] == [(b"a\r\nb\r\nc", True)]


def test_a_chunk_that_would_be_too_much() -> None:
    session = begin(rcpt=True)
    assert session.send(b"BDAT 600\r\n" + b"x" * 600) == replies.CHUNK_OK.wire
    assert session.send(b"BDAT 401\r\n") == b""
    assert session.aborted == [replies.TOO_LARGE]
    assert session.send(b"QUIT\r\n" * 66 + b"12345") == replies.TOO_LARGE.wire
    assert session.send(b"BDAT 4 LAST\r\nQUIT") == replies.MAIL_FIRST.wire
    assert "CommandRefused" not in session.kinds()
    assert session.line("MAIL FROM:<>") == "250 2.1.0 Sender ok"


def test_bare_lf_that_grows_beyond_the_limit() -> None:
    session = begin(LENIENT, rcpt=True)
    assert session.send(b"BDAT 1000 LAST\r\n" + b"\n" * 1000) == replies.TOO_LARGE.wire


def test_a_huge_chunk_is_never_held() -> None:
    session = begin(LARGE, rcpt=True)
    session.send(b"BDAT 104857600 LAST\r\n")
    for _ in range(1600):
        session.machine.receive(b"x" * 65536)
        while type(session.machine.next_event()) is ev.ContentChunk:
            pass
        assert session.machine.buffer_octets == 0
    assert session.machine.awaits_answer


# --- LMTP -------------------------------------------------------------------------------------------------------


def test_lmtp_answers_each_recipient() -> None:
    session = ScriptedSession(msgspec.structs.replace(STRANGER, lmtp=True))
    session.line("LHLO client.example.org")
    session.send(b"MAIL FROM:<>\r\nRCPT TO:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n")
    machine = session.machine
    machine.receive(b".\r\n")
    assert machine.next_event() == ev.ContentEnds(0)
    machine.answer_each([replies.NOOP, replies.TOO_LARGE])
    assert machine.output() == replies.NOOP.wire + replies.TOO_LARGE.wire
    assert not machine.in_transaction
