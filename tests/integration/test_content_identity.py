"""Invariant 8: content passes unchanged to the mailbox and to the next server, but for trace fields on top."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Town, eventually, make_town
from tests.integration.rawsmtp import RawSmtp

HEAD = b"From: a@far.test\r\nSubject: awkward\r\n\r\n"
OWN: dict[str, bytes] = {
    "plain": HEAD + b"hello\r\n",
    "8-bit": "From: a@far.test\r\nSubject: x\r\n\r\nGrüße, 駅伝\r\n".encode(),
    "8-bit header": "From: J\u00fcrgen <a@far.test>\r\nSubject: 駅伝\r\n\r\nx\r\n".encode(),
    "latin-1": HEAD + "Grüße\r\n".encode("latin-1"),
    "every octet but CR LF NUL": HEAD + bytes(set(range(1, 256)) - {10, 13}) + b"\r\n",
    "998 octets": HEAD + b"x" * 998 + b"\r\n",
    "999 octets": HEAD + b"x" * 999 + b"\r\n",
    "a line of 100,000": HEAD + b"y" * 100_000 + b"\r\n",
    "leading dots": HEAD + b".\r\n..\r\n...\r\n.x\r\n. \r\nend\r\n",
    "dot first": b".\r\n",
    "no final newline": HEAD + b"no newline at the end",
    "ends with a dot": HEAD + b"the end.",
    "empty lines at the end": HEAD + b"\r\n\r\n\r\n",
    "header only": b"From: a@far.test\r\nSubject: nothing else\r\n\r\n",
    "header without empty line": b"From: a@far.test\r\nSubject: nothing else\r\n",
    "body without header": b"\r\nonly a body\r\n",
    "no header at all": b"this is no header line\r\nnor this\r\n",
    "folded and tabbed": b"Subject: a\r\n\tb\r\n  c\r\nX:\r\n y\r\n\r\nx\r\n",
    "duplicate fields": b"Subject: 1\r\nSubject: 2\r\nFrom: a@b\r\nFrom: c@d\r\n\r\nx\r\n",
    "blanks before the colon": b"Subject : obsolete\r\n\r\nx\r\n",
    "Bcc stays": b"Bcc: hidden@far.test\r\nFrom: a@far.test\r\n\r\nx\r\n",
    "long header line": b"X-Long: " + b"z" * 5000 + b"\r\n\r\nx\r\n",
    "trace of others": b"Return-Path: <x@y>\r\nReceived: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nx\r\n",
    "trailing blanks": HEAD + b"blank \t \r\n  \r\n\t\r\n",
    "large": HEAD + b"0123456789abcdef" * 4 * 3000 + b"\r\n" + b"line of a large letter\r\n" * 30_000,
    "at the spill": HEAD + b"s" * (64 * 1024 - len(HEAD) - 2) + b"\r\n",
    "form feed and friends": HEAD + b"\x0b\x0c\x1c\x1d\x1e\x85\xe2\x80\xa8 are no line ends\r\n",
}
STDLIB = sorted(glob.glob("/usr/lib/python3*/test/test_email/data/msg_*.txt"))


def corpus() -> dict[str, bytes]:
    letters = dict(OWN)
    for name in STDLIB:
        octets = Path(name).read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
        letters[Path(name).name] = octets.replace(b"\0", b"")
    return letters


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("town"), trusted=True)
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


TRACE = re.compile(rb"\A(?:(?:Return-Path|Delivered-To|Received):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)", re.IGNORECASE)


def without_trace(octets: bytes, fields: int) -> bytes:
    for _ in range(fields):
        match = TRACE.match(octets)
        assert match is not None, octets[:200]
        octets = octets[match.end() :]
    return octets


def arrived(folder: Path, letter_id: str) -> bytes | None:
    """The file of a letter in a Maildir, known by the id that home gave it (ids of two servers may be the same)."""
    home = re.compile(rb"by mail\.example\.test [^;]*\bid " + letter_id.encode())
    for file in folder.glob("**/new/*"):
        octets = file.read_bytes()
        if home.search(octets):
            return octets
    return None


def queue_id(reply: str) -> str:
    assert reply.startswith("250 2.0.0 Queued as "), reply
    return reply.rsplit(maxsplit=1)[-1]


@pytest.mark.parametrize("where", ["mailbox", "next server"])
@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_content_is_the_same_octet_by_octet(town: Town, where: str, chunking: bool) -> None:
    if not STDLIB:
        pytest.skip("needs libpython3.*-testsuite (see tests/debian-packages.txt)")
    letters = corpus()
    assert len(letters) >= 40 + len(OWN) // 2
    recipient = "bob@example.test" if where == "mailbox" else "carol@far.test"
    server = town.home if where == "mailbox" else town.away
    fields = 3 if where == "mailbox" else 4  # Return-Path, Delivered-To, a Received a server
    client = RawSmtp(town.home.ports["relay"])
    sent = {}
    for name, content in letters.items():
        sent[name] = queue_id(
            client.letter("a@far.test", recipient, content, parameters=" BODY=8BITMIME", chunking=chunking)
        )
    client.close()
    for name, content in letters.items():
        found = eventually(lambda name=name: arrived(server.folder / "data", sent[name]), f"{name} as {sent[name]}")
        assert isinstance(found, bytes)
        expected = content
        if not content.endswith(b"\r\n") and not (chunking and where == "mailbox"):
            expected += b"\r\n"  # DATA cannot do without (RFC 5321 §4.1.1.4)
        assert without_trace(found, fields) == expected, name


def test_smtputf8_letters_arrive_unchanged(town: Town) -> None:
    content = "From: jürgen@far.test\r\nTo: bob@example.test\r\nSubject: 駅伝\r\n\r\nGrüße\r\n".encode()
    client = RawSmtp(town.home.ports["relay"])
    sent = queue_id(client.letter("jürgen@far.test", "bob@example.test", content, parameters=" SMTPUTF8 BODY=8BITMIME"))
    client.close()
    found = eventually(lambda: arrived(town.home.folder / "data", sent), "the SMTPUTF8 letter")
    assert isinstance(found, bytes)
    assert without_trace(found, 3) == content
    assert "Return-Path: <jürgen@far.test>".encode() in found
    assert b"with UTF8SMTP" in found
