"""What a file is, by its first octets: names and declared types are only what the sender says. Grade A.

Rules
1. A kind is named for what a postmaster wants to refuse, not for the format: all that runs is `program`.
2. `kinds_of` needs HEAD octets, or all of a shorter file.

Called by `message.attachment`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

#: What `kinds_of` looks at.
HEAD: Final = 1024


class Kind(StrEnum):
    """The values are what the configuration names."""

    PROGRAM = "program"
    SCRIPT = "script"
    MACROS = "macros"
    ENCRYPTED = "encrypted"
    ARCHIVE = "archive"
    DISK_IMAGE = "disk-image"
    SHORTCUT = "shortcut"
    OLE = "ole"
    TNEF = "tnef"
    PDF = "pdf"
    PROGRAM_NAME = "program-name"
    DISGUISED_NAME = "disguised-name"


#: How a kind is told to people: "the attachment ... {}".
SAYS: Final = {
    Kind.PROGRAM: "is a program",
    Kind.SCRIPT: "is a script",
    Kind.MACROS: "holds macros",
    Kind.ENCRYPTED: "is encrypted",
    Kind.ARCHIVE: "is an archive",
    Kind.DISK_IMAGE: "is a disk image",
    Kind.SHORTCUT: "is a shortcut",
    Kind.OLE: "is a document of the old Office format",
    Kind.TNEF: "is a TNEF container",
    Kind.PDF: "is a PDF document",
    Kind.PROGRAM_NAME: "is called as a program is",
    Kind.DISGUISED_NAME: "has a name that deceives",
}
OLE_SIGN: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_SIGN: Final = b"PK\x03\x04"
_SIGNS: Final = (
    (b"MZ", Kind.PROGRAM),  # Windows, DOS
    (b"\x7fELF", Kind.PROGRAM),
    (b"\xfe\xed\xfa\xce", Kind.PROGRAM),  # Mach-O, four ways
    (b"\xfe\xed\xfa\xcf", Kind.PROGRAM),
    (b"\xce\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xcf\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xca\xfe\xba\xbe", Kind.PROGRAM),  # Mach-O for several processors; Java
    (b"dex\n03", Kind.PROGRAM),  # Android
    (b"#!", Kind.SCRIPT),
    (b"<?php", Kind.SCRIPT),
    (b"L\x00\x00\x00\x01\x14\x02\x00", Kind.SHORTCUT),  # Windows .lnk
    (OLE_SIGN, Kind.OLE),
    (b"\x78\x9f\x3e\x22", Kind.TNEF),
    (ZIP_SIGN, Kind.ARCHIVE),
    (b"PK\x05\x06", Kind.ARCHIVE),
    (b"PK00PK\x03\x04", Kind.ARCHIVE),
    (b"Rar!\x1a\x07", Kind.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE),
    (b"\x1f\x8b", Kind.ARCHIVE),
    (b"BZh", Kind.ARCHIVE),
    (b"\xfd7zXZ\x00", Kind.ARCHIVE),
    (b"\x28\xb5\x2f\xfd", Kind.ARCHIVE),  # zstd
    (b"MSCF", Kind.ARCHIVE),
    (b"ITSF", Kind.PROGRAM),  # .chm, which runs scripts
    (b"vhdxfile", Kind.DISK_IMAGE),
    (b"conectix", Kind.DISK_IMAGE),
    (b"QFI\xfb", Kind.DISK_IMAGE),
)
_BY_FIRST: Final[dict[int, list[tuple[bytes, Kind]]]] = {}
for _sign, _kind in _SIGNS:
    _BY_FIRST.setdefault(_sign[0], []).append((_sign, _kind))
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"
#: Rar 5: an archive whose headers are encrypted begins with a header of type 4, behind sign and checksum.
_RAR5: Final = b"Rar!\x1a\x07\x01\x00"


def kinds_of(head: bytes) -> frozenset[Kind]:
    """Usually one, often none."""
    if not head:
        return frozenset()
    found = {kind for sign, kind in _BY_FIRST.get(head[0], ()) if head.startswith(sign)}
    if head.startswith(b"\xef\xbb\xbf#!"):
        found.add(Kind.SCRIPT)
    if b"%PDF-" in head:  # readers take it anywhere in the first KiB
        found.add(Kind.PDF)
    if head.startswith(_RAR5) and head[13:14] == b"\x04":
        found.add(Kind.ENCRYPTED)
    if head[257:262] == b"ustar":
        found.add(Kind.ARCHIVE)
    if head[510:512] == b"\x55\xaa" and (head[54:57] == b"FAT" or head[82:85] == b"FAT" or head[3:7] == b"NTFS"):
        found.add(Kind.DISK_IMAGE)
    if head.lstrip(_BLANKS)[:18].lower() == b"[internetshortcut]":
        found.add(Kind.SHORTCUT)
    return frozenset(found)
