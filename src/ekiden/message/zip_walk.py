"""The members of a zip archive, found while it streams by (APPNOTE.TXT, PKWARE). Grade A.

Rules
1. Local headers are followed from the first octet on; members are unpacked only as far as their kind needs, or their
   end must be found (sizes that come behind), or they are archives themselves, which are followed once.
2. What is unpacked has a budget for the whole letter, and one for each piece of input: a bomb costs no more than a
   picture. What is past it is not looked into (`gave_up`).
3. The directory at the end is what unpacking programs go by: `directory_names` reads it from the last octets.

Called by `message.attachment`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from ekiden.message.charsets import as_written

#: Unpacked octets of one letter, and of one piece of input: 0.1 s and 10 ms.
BUDGET: Final = 32 * 1024 * 1024
MOST_AT_ONCE: Final = 4 * 1024 * 1024
#: Members of all archives of a letter.
MAX_MEMBERS: Final = 10_000
#: What tells a kind.
HEAD: Final = 512
_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END: Final = struct.Struct("<4sHHHHLLH")
_LOCAL_SIGN: Final = b"PK\x03\x04"
_CENTRAL_SIGN: Final = b"PK\x01\x02"
_END_SIGN: Final = b"PK\x05\x06"
_ENCRYPTED: Final = 0x0001
_SIZES_BEHIND: Final = 0x0008
_UTF8: Final = 0x0800
_STORED: Final = 0
_DEFLATED: Final = 8
_IN_ZIP64: Final = 0xFFFFFFFF


class Member(NamedTuple):
    """`head`: its first octets, unpacked; b'' if they are not known."""

    name: str
    encrypted: bool
    head: bytes


class Visitor(Protocol):
    def member(self, member: Member) -> None: ...

    def too_deep(self, name: str) -> None:
        """An archive within an archive within an archive."""


class Budget:
    """Of one letter."""

    __slots__ = ("members", "octets")

    def __init__(self) -> None:
        self.octets = BUDGET
        self.members = MAX_MEMBERS


class ZipWalk:
    """`depth` 0: the archive is the attachment. `ended`: its directory was reached. `gave_up`: why it was not."""

    __slots__ = (
        "_behind",
        "_budget",
        "_buffer",
        "_depth",
        "_encrypted",
        "_endless",
        "_head",
        "_inflate",
        "_inner",
        "_left",
        "_name",
        "_readable",
        "_skips",
        "_visitor",
        "ended",
        "gave_up",
        "looked_into_all",
    )

    def __init__(self, visitor: Visitor, budget: Budget, depth: int = 0) -> None:
        self._visitor = visitor
        self._budget = budget
        self._depth = depth
        self._buffer = b""
        self._name: str | None = None  # of the member whose octets come
        self._encrypted = False
        self._left: int | None = 0  # octets of it that are to come; None: until its packing ends
        self._behind = False  # its sizes come behind it
        self._endless = False  # and only its packing says where it ends
        self._readable = True
        self._skips = False  # nothing of it is wanted any more
        self._inflate: zlib._Decompress | None = None
        self._head = b""
        self._inner: ZipWalk | None = None
        self.ended = False
        self.gave_up = ""
        self.looked_into_all = True

    def feed(self, data: bytes) -> None:
        if self.ended or self.gave_up:
            return
        self._buffer = self._buffer + data if self._buffer else data
        most = self._budget.octets - MOST_AT_ONCE
        while not (self.ended or self.gave_up) and (self._read_header() if self._name is None else self._read_member()):
            if self._budget.octets < most:
                self._give_up("it unpacks to too much")

    # --- within -----------------------------------------------------------------------------------------------

    def _give_up(self, reason: str) -> None:
        self.gave_up = reason
        self._buffer = b""
        if self._name is not None:
            self._member_ends()

    def _read_header(self) -> bool:
        buffer = self._buffer
        if self._behind:
            if len(buffer) < 16:
                return False
            # the signature in front of the three numbers is optional
            buffer = buffer[16:] if buffer.startswith(b"PK\x07\x08") else buffer[12:]
            self._buffer, self._behind = buffer, False
        sign = buffer[:4]
        if len(sign) < 4:
            return False
        if sign in (_CENTRAL_SIGN, _END_SIGN):
            self.ended = True
            self._buffer = b""
            return False
        if sign != _LOCAL_SIGN:
            self._give_up("it is damaged")
            return False
        if len(buffer) < _LOCAL.size:
            return False
        _, _, flags, method, _, _, _, packed, _, n, m = _LOCAL.unpack_from(buffer)
        start = _LOCAL.size + n + m
        if len(buffer) < start:
            return False
        self._budget.members -= 1
        if self._budget.members < 0:
            self._give_up("it has too many members")
            return False
        self._buffer = buffer[start:]
        name = _name(buffer[_LOCAL.size : _LOCAL.size + n], flags)
        self._begin_member(name, flags, method, packed)
        return True

    def _begin_member(self, name: str, flags: int, method: int, packed: int) -> None:
        self._name, self._head, self._inner = name, b"", None
        self._encrypted = bool(flags & _ENCRYPTED)
        self._behind = bool(flags & _SIZES_BEHIND)
        self._readable = not self._encrypted and method in (_STORED, _DEFLATED)
        self._inflate = zlib.decompressobj(-15) if self._readable and method == _DEFLATED else None
        self._endless = self._behind and not packed
        self._left = None if self._endless else packed
        self._skips = False
        if packed == _IN_ZIP64:
            self._give_up("it is too large")
        elif self._endless and self._inflate is None:
            self._give_up("its members do not say where they end")
        elif not (self._readable or self._encrypted):
            self.looked_into_all = False

    def _read_member(self) -> bool:
        data = self._buffer
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._buffer = self._buffer[len(data) :]
        if self._readable:
            self._unpack(data)
        if self.gave_up:
            return False
        if self._endless and self._inflate is not None and self._inflate.eof:
            self._buffer = self._inflate.unused_data
        elif self._left != 0:
            return False
        self._member_ends()
        return True

    def _unpack(self, data: bytes) -> None:
        if self._inflate is None:
            self._unpacked(data)
            return
        while not self._skips:
            whole = self._endless or self._inner is not None
            if self._budget.octets <= 0:
                self._passed_over(whole=whole)
                return
            try:
                octets = self._inflate.decompress(data, min(self._budget.octets, MOST_AT_ONCE) if whole else HEAD)
            except zlib.error:
                self._give_up("it is damaged")
                return
            self._budget.octets -= len(octets)
            self._unpacked(octets)
            data = self._inflate.unconsumed_tail
            if self.gave_up or not data:
                return
            if whole:
                self._give_up("it unpacks to too much")
                return
            self._skips = self._inner is None  # its head is known, and it is nothing to follow

    def _passed_over(self, *, whole: bool) -> None:
        """The budget is used up."""
        self.looked_into_all = False
        self._skips = True
        if whole:
            self._give_up("it unpacks to too much")

    def _unpacked(self, octets: bytes) -> None:
        if len(self._head) < HEAD:
            started = bool(self._head)
            self._head += octets[: HEAD - len(self._head)]
            if not started and self._head.startswith(_LOCAL_SIGN):
                if self._depth:
                    self._visitor.too_deep(self._name or "")
                else:
                    self._inner = ZipWalk(self._visitor, self._budget, self._depth + 1)
        if self._inner is not None:
            self._inner.feed(octets)

    def _member_ends(self) -> None:
        name, self._name = self._name, None
        inner, self._inner = self._inner, None
        if inner is not None and not inner.ended:
            self.gave_up = self.gave_up or inner.gave_up or "an archive within it is damaged"
        self._visitor.member(Member(name or "", self._encrypted, self._head))
        self._inflate = None


class Directory(NamedTuple):
    """`members`: without their heads. `whole`: all of it was read."""

    members: list[Member]
    whole: bool


def read_directory(tail: bytes, budget: Budget) -> Directory | None:
    """The directory at the end of `tail`, the last octets of an attachment; None if it is no archive."""
    at = tail.rfind(_END_SIGN)
    if at == -1 or len(tail) - at < _END.size:
        return None
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, at)
    start = at - size
    if start < 0:
        return Directory([], whole=False)
    members = list(_entries(tail, start, at, budget))
    return Directory(members, whole=len(members) & 0xFFFF == count)


def _entries(tail: bytes, start: int, end: int, budget: Budget) -> Iterator[Member]:
    while start + _CENTRAL.size <= end and budget.members > 0:
        sign, _, _, flags, _, _, _, _, _, _, n, m, k, *_ = _CENTRAL.unpack_from(tail, start)
        if sign != _CENTRAL_SIGN:
            return
        budget.members -= 1
        names = start + _CENTRAL.size
        yield Member(_name(tail[names : names + n], flags), bool(flags & _ENCRYPTED), b"")
        start = names + n + m + k


def _name(octets: bytes, flags: int) -> str:
    return octets.decode("utf-8", "replace") if flags & _UTF8 else as_written(octets)
