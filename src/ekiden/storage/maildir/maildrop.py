"""MaildirDrop: a Maildir as a POP3 session sees it (`ports.mailboxes.Maildrop`).

Rules
1. The lock is a flock on `pop3.lock` beside the Maildir: it holds across processes and ends with the process.
2. The list is made once: `new` first, then `cur`, so that a message which another program moves from one to the other
   is seen (perhaps twice, and counted once). Order: delivery time, then name.
3. A message that was moved or flagged meanwhile is found again by its base name.
4. Sizes: ours are in the name. Other programs' files are measured once and remembered in `sizes` (a cache: base names
   are never used again, files never change; if it is lost it is made anew).
5. Names and sizes are kept in compact columns: 300,000 messages cost some 40 MB, items are made as they are asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, overload

from ekiden.ports.mailboxes import DropItem, MailboxFailed, MaildropBusy
from ekiden.storage.maildir import names
from ekiden.storage.maildir.crlf import LineEnds, ToCrlf
from ekiden.storage.maildir.sync import SharedSync

#: `Maildrop.read` gives at most 64 KiB at once; turning LFs into CRLFs may double what was read.
READ_OCTETS: Final = 32 * 1024
MEASURE_OCTETS: Final = 256 * 1024


class Runner(Protocol):
    """Runs a blocking function in a thread. If the caller is cancelled, it still waits for the thread to be done."""

    def __call__(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]: ...


#: Octets and messages.
Removed = Callable[[int, int], None]


class Items(Sequence[DropItem]):
    """`entries`: (folder/name, size) in their order."""

    def __init__(self, entries: Sequence[tuple[str, int]]) -> None:
        self.paths = [path for path, _ in entries]
        self._sizes = array("q", (size for _, size in entries))

    @property
    def total_octets(self) -> int:
        return sum(self._sizes)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> DropItem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DropItem]: ...
    def __getitem__(self, index: int | slice) -> DropItem | Sequence[DropItem]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return DropItem(names.unique_id(base_of_path(self.paths[index])), self._sizes[index])


class MaildirDrop:
    """Made by `open_drop`, in a thread."""

    def __init__(self, maildir: Path, lock: int, run: Runner, sync: SharedSync, removed: Removed) -> None:
        self._removed = removed
        self._maildir = maildir
        self._lock = lock
        self._run = run
        self._sync = sync
        self._items = Items(_measured(maildir, _listed(maildir)))

    @property
    def items(self) -> Sequence[DropItem]:
        return self._items

    @property
    def total_octets(self) -> int:
        return self._items.total_octets

    async def read(self, index: int) -> AsyncGenerator[bytes, None]:
        opened: list[int] = []  # filled in the thread: a cancelled wait must not lose the descriptor
        ends = ToCrlf()
        try:
            piece = await self._run(self._open, index, opened)
            while piece:
                yield ends.feed(piece)
                # Less than was asked for is the end of a file: a small message costs one turn in a thread.
                piece = await self._run(os.read, opened[0], READ_OCTETS) if len(piece) == READ_OCTETS else b""
        except OSError as error:
            raise MailboxFailed(f"{self._maildir}: {error}") from error
        finally:
            for fd in opened:
                os.close(fd)

    async def remove(self, indexes: Sequence[int]) -> Sequence[int]:
        failed: Sequence[int] = await self._run(self._remove, indexes)
        return failed

    async def close(self) -> None:
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            os.close(lock)

    # --- in a thread ------------------------------------------------------------------------------------------

    def _open(self, index: int, opened: list[int]) -> bytes:
        path = self._items.paths[index]
        try:
            fd = _open_for_reading(self._maildir / path)
        except FileNotFoundError:
            moved = _where(self._maildir).get(base_of_path(path))
            if moved is None:
                raise KeyError(path) from None
            fd = _open_for_reading(self._maildir / moved)
        opened.append(fd)
        return os.read(fd, READ_OCTETS)

    def _remove(self, indexes: Sequence[int]) -> Sequence[int]:
        where: dict[str, str] | None = None
        failed = []
        octets = messages = 0
        for index in indexes:
            path = self._items.paths[index]
            try:
                try:
                    os.unlink(self._maildir / path)
                except FileNotFoundError:
                    where = _where(self._maildir) if where is None else where
                    moved = where.get(base_of_path(path))
                    if moved is None:
                        continue
                    os.unlink(self._maildir / moved)
            except OSError:
                failed.append(index)
                continue
            octets += self._items[index].size_octets
            messages += 1
        if messages:
            self._removed(octets, messages)
        try:
            self._sync.sync(self._maildir / "new")
            self._sync.sync(self._maildir / "cur")
        except OSError:
            return list(indexes)
        return failed


def open_drop(maildir: Path, run: Runner, sync: SharedSync, removed: Removed) -> MaildirDrop:
    """In a thread. `removed`: told in a thread how much was. Raises MaildropBusy, OSError."""
    lock = os.open(maildir.parent / "pop3.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return MaildirDrop(maildir, lock, run, sync, removed)
    except BlockingIOError:
        os.close(lock)
        raise MaildropBusy(str(maildir.parent)) from None
    except BaseException:
        os.close(lock)
        raise


def base_of_path(path: str) -> str:
    return names.base_of(path[4:])  # behind `new/` or `cur/`


def _open_for_reading(path: Path) -> int:
    # Not blocking: somebody may have put a named pipe there.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(f"{path} is no plain file")
    return fd


def _where(maildir: Path) -> dict[str, str]:
    """Base name -> folder/name, of all messages there are now."""
    found: dict[str, str] = {}
    for folder in ("new", "cur"):
        for name in os.listdir(maildir / folder):
            if not name.startswith("."):
                found[names.base_of(name)] = f"{folder}/{name}"
    return found


def _listed(maildir: Path) -> list[tuple[str, str]]:
    """(base name, folder/name) in the order of the session."""
    return sorted(_where(maildir).items(), key=lambda entry: names.order(entry[0]))


def _measured(maildir: Path, listed: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """(folder/name, transmitted size) of each that can be read. Raises OSError only for the disk's own trouble."""
    cache = SizeCache(maildir.parent / "sizes")
    entries = []
    for base, path in listed:
        size = names.virtual_size(base) if names.is_ours(base) else None
        if size is None:
            size = cache.size(base, maildir / path)
        if size is not None:
            entries.append((path, size))
    cache.save()
    return entries


class SizeCache:
    """A line a file: `SIZE BASE`. Whatever is not of that form is forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] | None = None
        self._used: dict[str, int] = {}

    def size(self, base: str, path: Path) -> int | None:
        """None: it is gone, or no plain file that we may read."""
        if self._known is None:
            self._known = self._load()
        size = self._known.get(base)
        if size is None:
            size = measure(path)
        if size is not None:
            self._used[base] = size
        return size

    def save(self) -> None:
        if self._known is None or self._used == self._known:
            return
        lines = "".join(f"{size} {base}\n" for base, size in self._used.items() if "\n" not in base)
        fresh = self._path.with_name("sizes.new")
        # A full disk must not keep people from fetching and deleting: without the cache it only takes longer.
        with contextlib.suppress(OSError):
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(lines.encode("utf-8", "surrogateescape"))
            fresh.rename(self._path)

    def _load(self) -> dict[str, int]:
        try:
            lines = self._path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        except FileNotFoundError:
            return {}
        parted = (line.partition(" ") for line in lines)
        return {base: int(size) for size, _, base in parted if base and size.isascii() and size.isdigit()}


def measure(path: Path) -> int | None:
    """What RETR will transmit of a file. None: it is gone, or no plain file that we may read."""
    ends = LineEnds()
    try:
        with open(_open_for_reading(path), "rb", buffering=0) as file:
            while piece := file.read(MEASURE_OCTETS):
                ends.feed(piece)
    except OSError:
        return None
    return ends.transmitted
