"""What attachments are, by their octets and by their names."""

from __future__ import annotations

import binascii
import zlib

import pytest

from ekiden.message.attachment import TAIL, AttachmentReader, Item, ShownText, reader_of
from ekiden.message.attachment_names import comparable, deceives, runs
from ekiden.message.magic import Kind, kinds_of
from ekiden.message.mime_walk import Part
from ekiden.message.zip_walk import MAX_MEMBERS, Budget
from tests.fakes.letters import archive

UUENCODED = ((b"644 a.exe", b"MZ\x90\0"), (b"755 b.txt", b"hello"))
EXE = b"MZ\x90\0" + bytes(600)


class Taken:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self.blinds: list[str] = []

    def item(self, item: Item) -> None:
        self.items.append(item)

    def blind(self, reason: str) -> None:
        self.blinds.append(reason)

    @property
    def kinds(self) -> set[Kind]:
        return set().union(*(item.kinds for item in self.items))

    @property
    def members(self) -> list[str]:
        return [item.names[0] for item in self.items[:-1]]


def look(octets: bytes, name: str = "a.bin", piece: int = 50_000) -> Taken:
    taken = Taken()
    reader = reader_of(Part((name,), "application/octet-stream", attached=True), taken, Budget())
    assert isinstance(reader, AttachmentReader)
    for start in range(0, len(octets), piece):
        reader.feed(octets[start : start + piece])
    reader.finish()
    return taken


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (EXE, Kind.PROGRAM),
        (b"\x7fELF\2\1", Kind.PROGRAM),
        (b"\xca\xfe\xba\xbe\0", Kind.PROGRAM),
        (b"#!/bin/sh\n", Kind.SCRIPT),
        (b"\xef\xbb\xbf#!/bin/sh\n", Kind.SCRIPT),
        (b"L\0\0\0\x01\x14\x02\0", Kind.SHORTCUT),
        (b"\r\n[InternetShortcut]\r\nURL=x", Kind.SHORTCUT),
        (b"x" * 1000 + b"%PDF-1.7", Kind.PDF),
        (b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE),
        (bytes(257) + b"ustar", Kind.ARCHIVE),
        (b"Rar!\x1a\x07\x01\x00AAAA\x0b\x04", Kind.ENCRYPTED),
        (bytes(54) + b"FAT16" + bytes(451) + b"\x55\xaa", Kind.DISK_IMAGE),
        (b"\x78\x9f\x3e\x22", Kind.TNEF),
    ],
)
def test_kinds_of(octets: bytes, kind: Kind) -> None:
    assert kind in kinds_of(octets)


def test_most_files_are_nothing() -> None:
    for octets in (b"", b"M", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"x" * 1024):
        assert kinds_of(octets) == frozenset()


@pytest.mark.parametrize("piece", [1000, 32770, 50_000])
@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (bytes(32769) + b"CD001" + bytes(10), Kind.DISK_IMAGE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90_000) + "_VBA_PROJECT".encode("utf-16-le"), Kind.MACROS),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(49_990) + "EncryptedPackage".encode("utf-16-le"), Kind.ENCRYPTED),
        (b"%PDF-1.4" + bytes(99_985) + b"/Encrypt 7 0 R", Kind.ENCRYPTED),
        (archive(("word/vbaProject.bin", b"x")), Kind.MACROS),
        (archive(("xl/macrosheets/sheet1.xml", b"x")), Kind.MACROS),
    ],
)
def test_what_is_found_within(octets: bytes, kind: Kind, piece: int) -> None:
    found = look(octets, piece=piece)
    assert kind in found.kinds
    assert found.blinds == []


@pytest.mark.parametrize("piece", [1, 13, 50_000])
@pytest.mark.parametrize("streamed", [False, True])
def test_members_of_an_archive(streamed: bool, piece: int) -> None:
    inner = archive(("deep.txt", EXE), streamed=streamed)
    found = look(
        archive(("a/b.txt", b"hello" * 500), ("in.dat", inner), ("c.txt", b""), streamed=streamed), piece=piece
    )
    assert found.members == ["a/b.txt", "deep.txt", "in.dat", "c.txt"]
    assert found.kinds == {Kind.ARCHIVE, Kind.PROGRAM}
    assert found.blinds == []


def test_an_archive_in_an_archive_in_an_archive_is_not_followed() -> None:
    found = look(archive(("b.zip", archive(("c.zip", archive(("d.exe", EXE))))), ("e.txt", b"x")))
    assert "d.exe" not in found.members
    assert found.blinds == ["the archive a.bin: archives within archives within it"]


def test_encrypted_members_are_named() -> None:
    octets = bytearray(archive(("secret.exe", b"x" * 100), ("plain.txt", b"y")))
    for at in (6, octets.find(b"PK\x01\x02") + 8):
        octets[at] |= 1
    found = look(bytes(octets))
    assert found.members == ["secret.exe", "plain.txt"]
    assert Kind.ENCRYPTED in found.kinds
    assert found.blinds == []


def test_the_directory_counts_where_the_way_through_ends() -> None:
    octets = archive(("a.txt", b"x"), ("b.exe", b"y"))
    found = look(octets.replace(b"PK\x03\x04", b"PK\x03\xff", 2).replace(b"PK\x03\xff", b"PK\x03\x04", 1))
    assert found.members == ["a.txt", "a.txt", "b.exe"]
    assert found.blinds == []
    assert look(b"GIF89a" + octets).members == ["a.txt", "b.exe"]  # a picture to some, an archive to others


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (archive(("a.txt", bytes(1_000_000)))[:200], "it cannot be looked into"),
        (archive(("a.txt", b"x"))[:20], "it cannot be looked into"),
        (b"GIF89a" + archive(("a.zip", b"x")), "it has an archive in it that is not where archives begin"),
        (b"PK\x03\x04" + bytes(14) + b"\xff" * 8 + bytes(4), "it is too large"),
        (archive(("a.txt", bytes(40_000_000)), ("b.zip", b"x"), streamed=True), "it unpacks to too much"),
        (archive(("in.zip", archive(("a.txt", b"x" * 5000))[:50])), "an archive within it is damaged"),
    ],
)
def test_what_cannot_be_examined_is_said(octets: bytes, reason: str) -> None:
    assert look(octets).blinds == [f"the archive a.bin: {reason}"]


def test_a_bomb_costs_no_more_than_its_budget() -> None:
    budget, taken = Budget(), Taken()
    reader = reader_of(Part(("a.zip",), "", attached=True), taken, budget)
    reader.feed(archive(*((f"{n}.txt", bytes(30_000_000)) for n in range(20)), streamed=True))
    reader.finish()
    assert budget.octets > 0
    assert len(taken.items) > 20  # by the directory


def test_there_is_an_end_to_members() -> None:
    member = archive(("a", b""))[:33]
    found = look(member * (MAX_MEMBERS + 10))
    assert len(found.members) == MAX_MEMBERS
    assert found.blinds == ["the archive a.bin: it has too many members"]


def test_memory_does_not_grow_with_the_attachment() -> None:
    reader = AttachmentReader(Part(("a",), "", attached=True), Taken(), Budget())
    for _ in range(100):
        reader.feed(b"\0" * 50_000)
    assert len(reader._tail) <= 2 * TAIL


@pytest.mark.parametrize("octets", [zlib.compress(b"x"), b"PK\x05\x06" + bytes(18), b"PK\x05\x06", b"PK\x03\x04"])
def test_no_octets_raise(octets: bytes) -> None:
    look(octets)
    look(octets * 3, piece=1)


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("Setup.EXE", "setup.exe"),
        ("a.exe. ", "a.exe"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("..\\b\\a.exe", "a.exe"),
        ("/tmp/a.exe/", "a.exe"),
        ("a．ｅｘｅ", "a.exe"),
        ("a\x00.e\u200bxe", "a.exe"),
        ("x" * 5000 + ".exe", "x" * 1020 + ".exe"),
        ("", ""),
    ],
)
def test_comparable(name: str, compared: str) -> None:
    assert comparable(name) == compared


@pytest.mark.parametrize(
    ("name", "dangerous", "deceiving"),
    [
        ("a.exe", True, False),
        ("a.JS", True, False),
        ("invoice.pdf.exe", True, True),
        ("invoice.pdf                    .scr", True, True),
        ("a\u202efdp.txt", False, True),
        ("invoice.pdf", False, False),
        ("a.tar.gz", False, False),
        ("exe", False, False),
        ("my.report.docx", False, False),
    ],
)
def test_names(name: str, dangerous: bool, deceiving: bool) -> None:
    compared = comparable(name)
    assert (runs(compared), deceives(name, compared)) == (dangerous, deceiving)


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_files_within_a_text(piece: int) -> None:
    files = (b"begin %b\r\n%b\r\nend\r\n" % (name, binascii.b2a_uu(data).strip(b"\n")) for name, data in UUENCODED)
    text = b"hello\r\nbegin the day\r\n" + b"".join(files)
    taken = Taken()
    reader = reader_of(Part((), "text/plain", attached=False), taken, Budget())
    assert isinstance(reader, ShownText)
    for start in range(0, len(text), piece):
        reader.feed(text[start : start + piece])
    reader.finish()
    assert taken.members == ["a.exe", "b.txt"]
    assert Kind.PROGRAM in taken.items[0].kinds
    assert taken.items[-1].kinds == frozenset()
