"""One attachment, looked into while it streams by. Grade A.

Rules
1. What it is, its octets say (`message.magic`); what it is called, all of its names (`message.attachment_names`).
2. Kept are its first KiB and its last TAIL, for the directory of a zip archive stands at the end; nothing else.
3. A zip's members are attachments, too: by name all of them, by content as far as `message.zip_walk` goes. Other
   archives are not looked into.
4. A text that is shown has no kind; but a file within it (uuencode), which old programs show as an attachment, has.

Called by `session.examination`, through `message.mime_walk`.
"""

from __future__ import annotations

import binascii
from typing import Final, NamedTuple, Protocol

from ekiden.message.attachment_names import comparable, deceives, runs
from ekiden.message.charsets import as_written
from ekiden.message.magic import HEAD, OLE_SIGN, ZIP_SIGN, Kind, kinds_of
from ekiden.message.mime_walk import Leaf, Part
from ekiden.message.zip_walk import Budget, Member, ZipWalk, read_directory

#: 1,500 members' entries, or a comment of 64 KiB and some.
TAIL: Final = 128 * 1024
#: Where an ISO 9660 image says that it is one.
_ISO_AT: Final = 32769
_ISO: Final = b"CD001"
#: What is looked for in all of the file: in the old Office format (names are UTF-16), and in PDF.
_IN_OLE: Final = (
    ("_VBA_PROJECT".encode("utf-16-le"), Kind.MACROS),
    ("EncryptedPackage".encode("utf-16-le"), Kind.ENCRYPTED),
)
_IN_PDF: Final = ((b"/Encrypt", Kind.ENCRYPTED),)
_LONGEST_SOUGHT: Final = 32
_ARCHIVES: Final = (".zip", ".jar", ".docm", ".xlsm", ".pptm", ".7z", ".rar")
_SHOWN: Final = frozenset({"text/plain", "text/html"})
_LONGEST_BEGIN: Final = 300


class Item(NamedTuple):
    """Something attached, or a member of an archive. `names`: as written. `compared`: see `attachment_names`. `type`:
    as declared, '' for a member."""

    names: tuple[str, ...]
    compared: tuple[str, ...]
    type: str
    kinds: frozenset[Kind]


class Taker(Protocol):
    def item(self, item: Item) -> None: ...

    def blind(self, reason: str) -> None: ...


def reader_of(part: Part, taker: Taker, budget: Budget) -> Leaf:
    """What reads a leaf of the letter."""
    if part.type in _SHOWN and not part.names and not part.attached:
        return ShownText(part, taker)
    return AttachmentReader(part, taker, budget)


class AttachmentReader:
    """`mime_walk.Leaf`."""

    __slots__ = (
        "_budget",
        "_head",
        "_iso",
        "_kinds",
        "_overlap",
        "_part",
        "_seen",
        "_sought",
        "_tail",
        "_taker",
        "_zip",
    )

    def __init__(self, part: Part, taker: Taker, budget: Budget) -> None:
        self._part = part
        self._taker = taker
        self._budget = budget
        self._head: bytes | None = b""  # None: it is known what it is
        self._kinds: set[Kind] = set()
        self._sought: tuple[tuple[bytes, Kind], ...] = ()
        self._overlap = b""
        self._iso = b""
        self._seen = 0
        self._tail = bytearray()
        self._zip: ZipWalk | None = None

    def feed(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            if len(self._head) < HEAD:
                return
            data, self._head = self._begin(self._head), None
        self._read(data)

    def finish(self) -> None:
        if self._head is not None:
            self._read(self._begin(self._head))
        directory = read_directory(bytes(self._tail), self._budget)
        walk = self._zip
        nested = False
        if directory is not None and (walk is not None or directory.members):
            self._kinds.add(Kind.ARCHIVE)
            for member in directory.members:
                nested = nested or comparable(member.name).endswith(_ARCHIVES)
                if walk is None or not walk.ended:
                    self.member(member)
        named = directory is not None and directory.whole
        if walk is not None and not (walk.ended and walk.looked_into_all and not walk.gave_up):
            if not named or nested or not directory:
                self._blind(walk.gave_up or "it cannot be looked into")
        elif walk is None and nested:
            self._blind("it has an archive in it that is not where archives begin")
        self._taker.item(_item(self._part.names, self._part.type, frozenset(self._kinds)))

    # --- zip_walk.Visitor -------------------------------------------------------------------------------------

    def member(self, member: Member) -> None:
        if member.encrypted:
            self._kinds.add(Kind.ENCRYPTED)
        name = member.name.lower()
        if name.endswith("vbaproject.bin") or "xl/macrosheets/" in name or name.startswith("basic/script"):
            self._kinds.add(Kind.MACROS)
        if member.name and not member.name.endswith("/"):
            self._taker.item(_item((member.name,), "", kinds_of(member.head)))

    def too_deep(self, name: str) -> None:
        self._blind("archives within archives within it")

    # --- within -----------------------------------------------------------------------------------------------

    def _blind(self, reason: str) -> None:
        name = self._part.names[0] if self._part.names else "without a name"
        self._taker.blind(f"the archive {name}: {reason}")

    def _begin(self, head: bytes) -> bytes:
        self._kinds |= kinds_of(head[:HEAD])
        if head.startswith(ZIP_SIGN):
            self._zip = ZipWalk(self, self._budget)
        elif head.startswith(OLE_SIGN):
            self._sought = _IN_OLE
        elif Kind.PDF in self._kinds:
            self._sought = _IN_PDF
        return head

    def _read(self, data: bytes) -> None:
        if self._zip is not None:
            self._zip.feed(data)
        if self._sought:
            text = self._overlap + data
            self._kinds.update(kind for sign, kind in self._sought if sign in text)
            self._overlap = text[-_LONGEST_SOUGHT:]
        if self._seen < _ISO_AT + len(_ISO):
            self._iso += data[max(_ISO_AT - self._seen, 0) : _ISO_AT + len(_ISO) - self._seen]
            if self._iso == _ISO:
                self._kinds.add(Kind.DISK_IMAGE)
        self._seen += len(data)
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]


class ShownText:
    """A text without a name. Files in it begin with `begin 644 NAME` and a line of their first 45 octets."""

    __slots__ = ("_left", "_part", "_taker")

    def __init__(self, part: Part, taker: Taker) -> None:
        self._part = part
        self._taker = taker
        self._left = b"\r\n"

    def feed(self, data: bytes) -> None:
        text = self._left + data
        at = text.find(b"\r\nbegin ")
        while at != -1:
            first = text.find(b"\r\n", at + 8)
            second = text.find(b"\r\n", first + 2) if first != -1 else -1
            if second == -1 and len(text) - at < _LONGEST_BEGIN:
                self._left = text[at:]
                return
            if first != -1:
                self._file(text[at + 8 : first], text[first + 2 : second if second != -1 else len(text)])
            at = text.find(b"\r\nbegin ", at + 8)
        self._left = text[-7:]

    def finish(self) -> None:
        self.feed(b"\r\n\r\n")
        self._taker.item(Item((), (), self._part.type, frozenset()))

    def _file(self, begin: bytes, line: bytes) -> None:
        mode, blank, name = begin.partition(b" ")
        if not blank or not 3 <= len(mode) <= 4 or not mode.isdigit():
            return
        try:
            head = binascii.a2b_uu(line[:61])
        except binascii.Error:
            return
        self._taker.item(_item((as_written(name),), "", kinds_of(head)))


def _item(names: tuple[str, ...], kind: str, kinds: frozenset[Kind]) -> Item:
    compared = tuple(comparable(name) for name in names)
    if any(map(runs, compared)):
        kinds |= {Kind.PROGRAM_NAME}
    if any(map(deceives, names, compared)):
        kinds |= {Kind.DISGUISED_NAME}
    return Item(names, compared, kind, kinds)
