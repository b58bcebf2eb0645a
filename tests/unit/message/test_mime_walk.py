"""The parts of a letter: what is seen, what is not, and that there is an end to it."""

from __future__ import annotations

import pytest

from ekiden.message.header import HeaderSection
from ekiden.message.mime_walk import MAX_DEPTH, MAX_HEADERS, MAX_PARTS, MimeWalk, Part

TOP = b"Content-Type: multipart/mixed; boundary=b\r\n"


class Seen:
    """`parts`: each with its octets. `blinds`: why something was not examined."""

    def __init__(self) -> None:
        self.parts: list[tuple[Part, bytearray]] = []
        self.blinds: list[str] = []
        self.finished = 0

    def leaf(self, part: Part) -> _Leaf:
        self.parts.append((part, bytearray()))
        return _Leaf(self)

    def blind(self, reason: str) -> None:
        self.blinds.append(reason)

    @property
    def bodies(self) -> list[bytes]:
        return [bytes(body) for _, body in self.parts]

    @property
    def names(self) -> list[tuple[str, ...]]:
        return [part.names for part, _ in self.parts]


class _Leaf:
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def feed(self, data: bytes) -> None:
        self._seen.parts[-1][1].extend(data)

    def finish(self) -> None:
        self._seen.finished += 1


def walk(raw: bytes, piece: int = 65536) -> Seen:
    seen = Seen()
    section = HeaderSection(raw)
    walked = MimeWalk(seen)
    walked.begin(section)
    body = raw[section.end :]
    for start in range(0, len(body), piece):
        walked.feed(body[start : start + piece])
    walked.finish()
    assert seen.finished == len(seen.parts) or seen.blinds
    return seen


def part(*fields: bytes, body: bytes = b"x") -> bytes:
    return b"--b\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body + b"\r\n"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 65536])
def test_parts_and_their_octets(piece: int) -> None:
    raw = (
        TOP
        + b"\r\npreamble\r\n"
        + part(b"Content-Type: text/plain", body=b"one\r\n-- \r\n--x")
        + part(
            b'Content-Type: application/pdf; name="a.pdf"',
            b"Content-Disposition: attachment; filename=b.pdf",
            b"Content-Transfer-Encoding: base64",
            body=b"aGVs\r\nbG8=",
        )
        + part(b"Content-Type: multipart/alternative;\r\n boundary=inner", body=b"--inner\r\n\r\ntwo\r\n--inner--\r\n")
        + part(b"Content-Type: message/rfc822", body=TOP.replace(b"=b", b"=c") + b"\r\n--c\r\n\r\nthree\r\n--c--")
        + b"--b--\r\nepilogue"
    )
    seen = walk(raw, piece)
    assert seen.blinds == []
    assert seen.bodies == [b"one\r\n-- \r\n--x", b"hello", b"two", b"three"]
    assert seen.parts[1][0] == Part(("b.pdf", "a.pdf"), "application/pdf", attached=True)


@pytest.mark.parametrize("piece", [1, 65536])
@pytest.mark.parametrize(
    ("raw", "bodies"),
    [
        (b"Subject: x\r\n\r\nhello\r\n", [b"hello\r\n"]),
        (b"", [b""]),
        (TOP + b"\r\n--b\r\n\r\nno end", [b"no end"]),
        (TOP + b"\r\n--b\r\nA: header alone\r\n--b\r\n\r\nx\r\n--b--", [b"", b"x"]),
        (
            TOP + b"\r\n--b\r\nno field\r\nno field: either\r\n\r\nx\r\n--b--",
            [b"no field\r\nno field: either\r\n\r\nx"],
        ),
        (TOP + b"\r\n--b \t\r\n\r\nx\r\n--b-- \r\n", [b"x"]),
        (TOP + b"\r\n--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nbehind the end\r\n--b--", [b"x", b"behind the end"]),
        (TOP + b"\r\n--b\r\n\r\nx\r\n--bb\r\n--b", [b"x\r\n--bb"]),
        (TOP.replace(b"mixed", b"digest") + b"\r\n--b\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--", [b"x"]),
        (b"Content-Type: message/rfc822\r\n\r\n" + TOP + b"\r\n--b\r\n\r\nx\r\n--b--", [b"x"]),
    ],
)
def test_letters_as_they_come(raw: bytes, bodies: list[bytes], piece: int) -> None:
    assert walk(raw, piece).bodies == bodies


@pytest.mark.parametrize("piece", [1, 65536])
def test_a_delimiter_of_the_outer_ends_the_inner(piece: int) -> None:
    inner = part(b"Content-Type: multipart/mixed; boundary=i", body=b"--i\r\n\r\none")
    assert walk(TOP + b"\r\n" + inner + b"--b\r\n\r\ntwo\r\n--b--", piece).bodies == [b"one", b"two"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"Content-Type: multipart/mixed\r\n\r\nx", "a multipart without a boundary"),
        (b"Content-Type: multipart/mixed; boundary=" + b"b" * 300 + b"\r\n\r\nx", "a boundary that is too long"),
        (b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\nx", "two boundaries for one part"),
        (b'Content-Type: multipart/mixed; boundary="b"c\r\n\r\nx', "two boundaries for one part"),
        (TOP + b"Content-Type: text/plain\r\n\r\nx", "a part with two different types"),
        (
            b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\nx",
            "a part with two encodings",
        ),
        (
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nx",
            "an encoded letter within the letter",
        ),
        (TOP + b"\r\n" + b"--b\r\n\r\n" * MAX_PARTS, "too many parts"),
        (b"Content-Type: message/rfc822\r\n\r\n" * (MAX_DEPTH + 1), "parts nested too deep"),
        (TOP + b"\r\n--b\r\n" + b"A" * 70_000 + b"\r\n\r\n", "a header section of a part that is too large"),
        (TOP + b"\r\n--b\r\n" + b"A: b\r\n" * 15_000 + b"\r\n", "a header section of a part that is too large"),
        (
            TOP + b"\r\n" + (b"--b\r\n" + b"A: b\r\n" * 10_000) * (MAX_HEADERS // 60_000 + 1),
            "header sections of parts that are too large together",
        ),
        (TOP + b"\r\n--b\r\n\r\n" + b"--\r\n" * 100_002, "too many lines that look like boundaries"),
        (TOP + b"\r\n--b\r\n\r\nx\r\n--b" + b" " * 2000 + b"x", "a boundary followed by too many blanks"),
        (b"Content-Type: a/b" + b";x=1" * 300 + b"\r\n\r\n", "a field with too many parameters"),
    ],
)
def test_what_cannot_be_examined_is_said(raw: bytes, reason: str) -> None:
    assert walk(raw).blinds == [reason]


def test_nested_multiparts_have_an_end() -> None:
    raw, depth = b"", MAX_DEPTH + 1
    for level in range(depth):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    assert walk(raw).blinds == ["parts nested too deep"]
    assert walk(raw.replace(b"Content-Type: multipart/mixed; boundary=b50\r\n\r\n--b50", b"")).blinds == []


def test_memory_does_not_grow_with_the_letter() -> None:
    walked = MimeWalk(Seen())
    walked.begin(HeaderSection(TOP + b"\r\n"))
    walked.feed(b"--b\r\nContent-Type: image/png\r\n\r\n")
    seen = 0
    for _ in range(100):
        walked.feed(b"\r\n--" + b"a" * 60_000)
        seen = max(seen, len(walked._buffer))
    assert seen < 2000
