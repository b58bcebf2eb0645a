"""Any octets, in any pieces: the scanner loses none and never raises."""

from __future__ import annotations

import itertools
from email import policy
from email.parser import BytesHeaderParser

from hypothesis import example, given
from hypothesis import strategies as st

from ekiden.message.header import HeaderReader, HeaderSection
from ekiden.message.quoting import is_sendable, quoted_printable
from ekiden.message.submission import complete_header

NAMES = st.sampled_from([b"Received", b"Subject", b"Date", b"Message-ID", b"Bcc", b"X-Y", b"resent-BCC"])
VALUES = st.binary(max_size=30).map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b""))
FOLDED = st.lists(VALUES, min_size=1, max_size=3).map(b"\r\n ".join)
FIELDS = st.tuples(NAMES, FOLDED).map(lambda pair: pair[0] + b": " + pair[1] + b"\r\n")
HEADERS = st.lists(FIELDS, max_size=8)
OCTETS = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"A", b"Bcc", b"Received:", b"\x80", b"\0"]), max_size=25
).map(b"".join)


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[start:end] for start, end in itertools.pairwise(marks)]


@given(HEADERS, st.binary(max_size=20))
def test_well_formed_sections_are_found_exactly(fields: list[bytes], body: bytes) -> None:
    section = HeaderSection(b"".join(fields) + b"\r\n" + body)
    assert [section.octets[field.start : field.end] for field in section] == fields
    assert section.separated
    assert section.octets[section.end :] == body


@given(OCTETS)
def test_any_octets_are_parted_without_loss(octets: bytes) -> None:
    section = HeaderSection(octets)
    fields = list(section)
    assert b"".join(octets[field.start : field.end] for field in fields) == octets[: section.fields_end]
    assert octets[section.fields_end : section.end] == (b"\r\n" if section.separated else b"")
    assert all(field.end - field.start > 1 for field in fields)
    assert sum(section.count(name) for name in {field.name for field in fields}) == len(section)


@given(OCTETS, st.lists(st.integers(0, 200), max_size=8), st.sampled_from([5, 20, 1000]))
@example(b"A: b\r\n\r\nbody", [5, 6, 7], 1000)
def test_any_split_gives_the_same_section(octets: bytes, cuts: list[int], limit: int) -> None:
    reader, fed = HeaderReader(limit), b""
    for piece in pieces(octets, cuts):
        fed += piece
        if reader.feed(piece):
            break
    section = reader.finish()
    assert reader.gathered == fed
    if not section.truncated:
        whole = HeaderSection(octets, limit)
        if not whole.truncated:
            assert (section.raw, section.separated) == (whole.raw, whole.separated)


@given(HEADERS)
def test_completing_twice_changes_nothing_more(fields: list[bytes]) -> None:
    once = complete_header(b"".join(fields) + b"\r\n", now=0, message_id="a@b")
    assert complete_header(once, now=99, message_id="c@d") == once
    section = HeaderSection(once)
    assert b"date" in section
    assert b"message-id" in section
    assert b"bcc" not in section
    assert b"resent-bcc" not in section
    kept = [field for field in fields if not field.lower().startswith((b"bcc", b"resent-bcc"))]
    assert once.startswith(b"".join(kept))


@given(st.lists(st.tuples(NAMES, st.from_regex(rb"\A[!-~]{0,20}\Z")), max_size=8))
def test_the_standard_library_finds_the_same_fields(fields: list[tuple[bytes, bytes]]) -> None:
    octets = b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"
    parsed = BytesHeaderParser(policy=policy.compat32).parsebytes(octets)
    assert [name.lower().encode() for name in parsed.keys()] == [field.name for field in HeaderSection(octets)]  # noqa: SIM118
    assert [value.encode() for value in parsed.values()] == [field.value for field in HeaderSection(octets)]


@given(st.one_of(OCTETS, st.binary(max_size=300), st.integers(70, 80).map(lambda n: b"a" * n + b" \r\n=" + b" " * n)))
def test_quoted_printable_comes_back(octets: bytes) -> None:
    from quopri import decodestring

    encoded = quoted_printable(octets)
    assert encoded.isascii()
    assert is_sendable(encoded)
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert decodestring(encoded) == octets
