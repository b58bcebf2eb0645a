"""MaildirUsage: `ports.usage.MailboxUsage` over the folders of `maildir.store`.

    ROOT/example.test/alice/usage, quota-told    of a mailbox
    ROOT/example.test/%usage, %quota-told        of a domain: no account's folder has such a name

Rules
1. Sizes are read from file names (`S=`, Maildir++), and looked up only where a name has none.
2. `tmp` does not count; sub-folders (Maildir++: `.NAME`) do.

Made by `maildir.store`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from ekiden.ports.clock import Clock
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.ports.usage import Usage
from ekiden.storage.maildir.names import account_folder
from ekiden.storage.maildir.usage_file import UsageFile

#: How long an answer is believed.
BELIEVED: Final = 5.0
#: After this it is counted anew.
DAY: Final = 86_400.0
#: Answers in memory.
MEMORY: Final = 16_384


class Runner(Protocol):
    def __call__(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]: ...


class MaildirUsage:
    """`run`: a blocking function in a thread."""

    def __init__(self, root: Path, clock: Clock, run: Runner) -> None:
        self._root = root
        self._clock = clock
        self._run = run
        self._believed: dict[str, tuple[float, Usage]] = {}

    def peek(self, name: str) -> Usage | None:
        until, usage = self._believed.get(name, (0.0, None))
        return usage if until > self._clock.monotonic() else None

    async def find(self, name: str) -> Usage:
        return self.peek(name) or await self._ask(name, self._find)

    async def recount(self, name: str) -> Usage:
        return await self._ask(name, self._recount)

    async def mark(self, name: str) -> bool:
        self._believed.pop(name, None)
        made: bool = await self._safely(self._mark, name)
        return made

    async def unmark(self, name: str) -> None:
        self._believed.pop(name, None)
        await self._safely(self._unmark, name)

    def came(self, account: str, octets: int) -> None:
        """On the loop: a message was delivered; for answers that are believed already."""
        for name in (account, f"@{account.rpartition('@')[2]}"):
            if name in self._believed:
                until, usage = self._believed[name]
                more = usage._replace(octets=usage.octets + octets, messages=usage.messages + 1)
                self._believed[name] = (until, more)

    async def _ask(self, name: str, work: Callable[[str], Usage]) -> Usage:
        usage: Usage = await self._safely(work, name)
        self._believed.pop(name, None)
        if len(self._believed) >= MEMORY:
            del self._believed[next(iter(self._believed))]
        self._believed[name] = (self._clock.monotonic() + BELIEVED, usage)
        return usage

    async def _safely(self, work: Callable[[str], Any], name: str) -> Any:
        try:
            return await self._run(work, name)
        except OSError as error:
            raise MailboxFailed(f"usage of {name}: {error}") from error

    # --- in a thread ------------------------------------------------------------------------------------------

    def changed(self, account: str, octets: int, messages: int) -> None:
        """For a message that came (or went: negative). Raises OSError."""
        for name in (account, f"@{account.rpartition('@')[2]}"):
            self._file(name).add(octets, messages)

    def _find(self, name: str) -> Usage:
        counted = self._file(name).read()
        if counted is None or not 0 <= self._clock.now() - counted.when < DAY:
            return self._recount(name)
        return Usage(counted.octets, counted.messages, self._marker(name).exists())

    def _recount(self, name: str) -> Usage:
        folder = self._folder(name)
        if not folder.is_dir():
            return Usage(0, 0)
        count = self._count_domain if name.startswith("@") else self._count_mailbox
        counted = self._file(name).count(lambda: count(folder), self._clock.now())
        return Usage(counted.octets, counted.messages, self._marker(name).exists())

    def _count_domain(self, folder: Path) -> tuple[int, int]:
        octets = messages = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    counted = UsageFile(Path(entry.path, "usage")).read()  # fast where there is one
                    some, several = counted[1:] if counted is not None else self._count_mailbox(Path(entry.path))
                    octets += some
                    messages += several
        return octets, messages

    def _count_mailbox(self, folder: Path) -> tuple[int, int]:
        maildir = folder / "Maildir"
        try:
            subfolders = [maildir / name for name in os.listdir(maildir) if name.startswith(".")]
        except FileNotFoundError:
            return 0, 0
        octets = messages = 0
        for part in (part for where in (maildir, *subfolders) for part in (where / "new", where / "cur")):
            try:
                entries = os.scandir(part)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with entries:
                for entry in entries:
                    octets += _size(entry)
                    messages += 1
        return octets, messages

    def _mark(self, name: str) -> bool:
        try:
            os.close(os.open(self._marker(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        return True

    def _unmark(self, name: str) -> None:
        self._marker(name).unlink(missing_ok=True)

    def _file(self, name: str) -> UsageFile:
        return UsageFile(self._folder(name) / ("%usage" if name.startswith("@") else "usage"))

    def _marker(self, name: str) -> Path:
        return self._folder(name) / ("%quota-told" if name.startswith("@") else "quota-told")

    def _folder(self, name: str) -> Path:
        domain, local_part = account_folder(name)
        return self._root / domain if name.startswith("@") else self._root / domain / local_part


async def at_once(function: Callable[..., Any], *args: Any) -> Any:
    """A `Runner` for commands, which have nothing else to do."""
    return function(*args)


def _size(entry: os.DirEntry[str]) -> int:
    _, found, rest = entry.name.partition(",S=")
    digits = rest.partition(",")[0].partition(":")[0]
    if found and digits.isascii() and digits.isdigit():
        return int(digits)
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
