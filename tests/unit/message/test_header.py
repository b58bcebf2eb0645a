"""The header scanner: where fields and the body lie, in well-formed letters and in what the world sends."""

from __future__ import annotations

import pytest

from ekiden.message.header import HeaderReader, HeaderSection, find_header_end, unfold

LETTER = (
    b"Received: from a\r\n\tby b;\r\n Sat\r\nreceived: from c\r\nSubject : folded\r\n \r\n\tvalue \r\n"
    b"X-Empty:\r\nMessage-ID:\r\n <one@two>\r\n\r\nBody: no field\r\n\r\nend"
)


def test_fields_of_a_letter() -> None:
    section = HeaderSection(LETTER)
    assert [(field.name, field.value) for field in section] == [
        (b"received", b"from a\tby b; Sat"),
        (b"received", b"from c"),
        (b"subject", b"folded \tvalue"),
        (b"x-empty", b""),
        (b"message-id", b"<one@two>"),
    ]
    assert LETTER[section.end :] == b"Body: no field\r\n\r\nend"
    assert section.separated
    assert not section.truncated
    assert section.count(b"received") == 2
    assert section.count(b"body") == 0
    assert section.first(b"received") == b"from a\tby b; Sat"
    assert section.first(b"bcc") is None
    assert b"x-empty" in section
    assert b"X-Empty" not in section
    assert section.message_id == "<one@two>"
    assert len(section) == 5


def test_spans_are_the_whole_section() -> None:
    section = HeaderSection(LETTER)
    assert b"".join(LETTER[field.start : field.end] for field in section) + b"\r\n" == section.raw
    assert section.raw == LETTER[: section.end]
    assert section.fields_end == section.end - 2


@pytest.mark.parametrize(
    ("octets", "names", "end", "separated"),
    [
        (b"", [], 0, False),
        (b"\r\n", [], 2, True),
        (b"\r\nA: b\r\n\r\n", [], 2, True),
        (b"A: b", [b"a"], 4, False),
        (b"A: b\r\n", [b"a"], 6, False),
        (b"A: b\r\n\r\n", [b"a"], 8, True),
        (b"Hello\r\n", [], 0, False),  # a body without header section
        (b"Hello\r\n\r\nA: b\r\n", [], 0, False),
        (b" A: b\r\n\r\n", [], 0, False),  # a continuation of nothing
        (b": b\r\n\r\n", [], 0, False),  # no name
        (b"A: b\r\nno colon\r\nC: d\r\n\r\n", [b"a"], 6, False),
        (b"A: b\r\nReceived\r\n\r\n", [b"a"], 6, False),
        (b"From a@b Sat Jan  1 00:00:00 2000\r\nA: b\r\n\r\n", [], 0, False),  # a blank within the name
        (b"A: b\r\n\xc3\xa9: c\r\n\r\n", [b"a"], 6, False),
        (b"A: b\r\n\t\r\nC: d\r\n\r\n", [b"a", b"c"], 17, True),  # a line of blanks continues
        (b"A\t : b\r\n\r\n", [b"a"], 10, True),
        (b"A: b\nC: d\r\n\r\n", [b"a"], 13, True),  # a lone LF ends nothing
        (b"A::b\r\n\r\n", [b"a"], 8, True),
    ],
)
def test_where_the_section_ends(octets: bytes, names: list[bytes], end: int, separated: bool) -> None:
    section = HeaderSection(octets)
    assert [field.name for field in section] == names
    assert (section.end, section.separated) == (end, separated)


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        (b" <a@b>", "<a@b>"),
        (b" (c) <a@b> x", "<a@b>"),
        (b"\r\n <a@b>", "<a@b>"),
        (b" a@b", "a@b"),
        (b"", ""),
        (b" > <a@b", "> <a@b"),
        (b" <\x00\x1b[2J@b>", "<[2J@b>"),
        (b" <\xff@b>", "<\N{REPLACEMENT CHARACTER}@b>"),
        (b" <" + b"a" * 2000 + b">", "<" + "a" * 997),
    ],
)
def test_message_id(value: bytes, message_id: str) -> None:
    assert HeaderSection(b"Message-Id:" + value + b"\r\n\r\n").message_id == message_id
    assert HeaderSection(b"Subject: x\r\n\r\n").message_id == ""


def test_long_names_are_fields_too() -> None:
    name = b"X-" + b"a" * 5000
    for _ in range(2):
        assert HeaderSection(name + b": b\r\n\r\n").first(name.lower()) == b"b"


def test_find_header_end_goes_on_where_it_stopped() -> None:
    octets = b"A: b\r\n\r\nbody\r\n\r\n"
    for split in range(9):
        assert find_header_end(octets, min(split, 7)) == 8
    assert find_header_end(b"A: b\r\n") == -1
    assert find_header_end(b"\r\n", 1) == 2


def test_unfold_keeps_the_blank() -> None:
    assert unfold(b" a\r\n\tb\r\n  c \t") == b"a\tb  c"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_reader_gathers_chunks(size: int) -> None:
    reader = HeaderReader()
    chunks = [LETTER[start : start + size] for start in range(0, len(LETTER), size)]
    fed = 0
    for chunk in chunks:
        fed += len(chunk)
        if reader.feed(chunk):
            break
    assert reader.section is not None
    assert reader.section.raw == HeaderSection(LETTER).raw
    assert reader.gathered == LETTER[:fed]


@pytest.mark.parametrize("octets", [b"", b"A: b", b"A: b\r\n", b"Hello\r\nworld", b"A: b\r\nHello"])
def test_reader_when_the_content_ends_first(octets: bytes) -> None:
    reader = HeaderReader()
    assert not any(reader.feed(octets[start : start + 1]) for start in range(len(octets)))
    assert reader.finish().end == HeaderSection(octets).end
    assert reader.gathered == octets


def test_finish_after_the_end_changes_nothing() -> None:
    reader = HeaderReader()
    assert reader.feed(LETTER)
    assert reader.finish() is reader.section


@pytest.mark.parametrize("chunk", [10, 10_000])
def test_too_large_a_section_is_truncated(chunk: int) -> None:
    octets = b"A: b\r\n" * 200
    reader = HeaderReader(limit=100)
    for start in range(0, len(octets), chunk):
        if reader.feed(octets[start : start + chunk]):
            break
    assert reader.section is not None
    assert reader.section.truncated
    assert HeaderSection(octets + b"\r\n", 100).truncated
    assert not HeaderSection(octets + b"\r\n", 1202).truncated


def test_one_endless_line_is_truncated_and_a_body_without_header_is_not() -> None:
    endless, body = HeaderReader(limit=100), HeaderReader(limit=100)
    assert endless.feed(b"Subject: " + b"x" * 100)
    assert body.feed(b"x" * 101)
    assert endless.section is not None
    assert endless.section.truncated
    assert body.section is not None
    assert not body.section.truncated
    assert body.section.end == 0


def test_at_the_limit_a_line_that_has_not_come_whole_is_not_judged() -> None:
    reader = HeaderReader(limit=100)
    assert reader.feed(b"A: b\r\n" * 16 + b"Subj" + b"e" * 10)
    assert reader.section is not None
    assert reader.section.truncated


def test_a_malformed_line_ends_it_before_the_limit() -> None:
    reader = HeaderReader(limit=100)
    content = b"A: b\r\n" + b"a line of the body\r\n" * 10
    assert reader.feed(content)
    assert reader.section is not None
    assert not reader.section.truncated
    assert reader.gathered[reader.section.end :] == content[6:]
