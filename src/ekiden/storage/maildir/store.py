"""MaildirMailboxes: `ports.mailboxes.Mailboxes` on disk, readable by Dovecot, mutt and all who know Maildir++.

    ROOT/example.test/alice/Maildir/{new,cur,tmp}   mail_location = maildir:ROOT/%d/%n/Maildir
    ROOT/example.test/alice/delivered, delivered.old   see `journal`
    ROOT/example.test/alice/pop3.lock, sizes           see `maildrop`
    ROOT/example.test/alice/usage, quota-told          see `usage`

Rules
1. `deliver` returns when the file, its name and the journal line are on disk; a letter comes once a recipient,
   whatever became of the first copy (`deposit` has the steps and what each crash leaves).
2. Everything is the service user's alone: folders 0700, files 0600.
3. All disk work is done in threads, few of them: deliveries overlap and share the sync of a folder; sessions that read
   have threads of their own, so that a slow listing never holds up a delivery.
4. Files in tmp that are older than 36 hours are what a crash left (the age is Maildir's own rule): removed.

Called by delivery (local transport) and session/pop3 through the port. Never looks into content.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from ekiden.model.ids import LetterId
from ekiden.ports.clock import Clock
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.ports.spool import Content, SpoolFailed
from ekiden.storage.maildir.deposit import Deposit
from ekiden.storage.maildir.maildrop import MaildirDrop, open_drop
from ekiden.storage.maildir.names import account_folder, ticket
from ekiden.storage.maildir.sync import SharedSync, make_directories
from ekiden.storage.maildir.usage import MaildirUsage

#: Deliveries at once: each waits for the disk most of its time; more only queue up there.
DELIVERY_THREADS: Final = 8
#: Readers at once: pieces of 32 KiB, so nobody waits long.
READING_THREADS: Final = 4
TMP_SECONDS: Final = 36 * 3600.0
#: Mailboxes whose folders are known to exist; beyond, they are looked at again.
KNOWN_AT_MOST: Final = 100_000


class MaildirMailboxes:
    """`root`: such as DATA_DIR/mail; made when the first letter comes. Close it when the worker ends."""

    def __init__(
        self,
        root: Path,
        clock: Clock,
        *,
        delivery_threads: int = DELIVERY_THREADS,
        reading_threads: int = READING_THREADS,
    ) -> None:
        self._root = root
        self._clock = clock
        self._sync = SharedSync()
        self._known: set[str] = set()
        self.usage = MaildirUsage(root, clock, self._run_reading)
        self._deliveries = ThreadPoolExecutor(delivery_threads, thread_name_prefix="maildir-deliver")
        self._readers = ThreadPoolExecutor(reading_threads, thread_name_prefix="maildir-read")

    def maildir(self, account: str) -> Path:
        """Where an account's Maildir is, or would be."""
        return self._root.joinpath(*account_folder(account), "Maildir")

    async def deliver(self, account: str, letter: LetterId, recipient: str, head: bytes, content: Content) -> None:
        deposit = Deposit(self.maildir(account), ticket(letter, recipient), self._sync)
        octets = content.octets
        try:
            if octets is not None:
                await _run(self._deliveries, self._deposit, account, deposit, head, octets)
                self.usage.came(account, len(head) + len(octets))
            else:
                await self._deposit_pieces(account, deposit, head, content)
                self.usage.came(account, len(head) + content.size_octets)
        except OSError as error:
            self._known.discard(account)  # whatever it was: look at the folders again
            raise MailboxFailed(f"{self.maildir(account)}: {error}") from error
        except SpoolFailed as error:
            raise MailboxFailed(f"the content cannot be read: {error}") from error

    async def open_maildrop(self, account: str) -> MaildirDrop:
        opened: list[MaildirDrop] = []  # filled in the thread: a cancelled wait must not leave the mailbox locked
        try:
            await _run(self._readers, self._open, account, opened)
        except asyncio.CancelledError:
            for drop in opened:
                await drop.close()
            raise
        except OSError as error:
            self._known.discard(account)
            raise MailboxFailed(f"{self.maildir(account)}: {error}") from error
        return opened[0]

    async def close(self) -> None:
        """What is under way finishes; nothing may be asked afterwards."""
        await asyncio.get_running_loop().run_in_executor(None, self._shut)

    def _shut(self) -> None:
        self._deliveries.shutdown()
        self._readers.shutdown()

    async def _deposit_pieces(self, account: str, deposit: Deposit, head: bytes, content: Content) -> None:
        pool = self._deliveries
        try:
            if not await _run(pool, self._begin, account, deposit):
                return
            await _run(pool, deposit.write, head)
            async for piece in content.chunks():
                await _run(pool, deposit.write, piece)
            if deposit.size_octets != len(head) + content.size_octets:
                raise SpoolFailed(f"{deposit.size_octets - len(head)} octets came instead of {content.size_octets}")
            await _run(pool, self._commit, account, deposit)
        finally:
            await _run(pool, deposit.close)

    # --- in a thread ------------------------------------------------------------------------------------------

    def _deposit(self, account: str, deposit: Deposit, head: bytes, octets: bytes) -> None:
        try:
            if self._begin(account, deposit):
                deposit.write(head + octets)
                self._commit(account, deposit)
        finally:
            deposit.close()

    def _commit(self, account: str, deposit: Deposit) -> None:
        deposit.commit()
        with contextlib.suppress(OSError):  # it is delivered; what was not counted is counted anew within a day
            self.usage.changed(account, deposit.size_octets, 1)

    def _begin(self, account: str, deposit: Deposit) -> bool:
        self._prepare(account)
        try:
            return deposit.begin()
        except FileNotFoundError:  # somebody removed the folders since we looked
            self._known.discard(account)
            self._prepare(account)
            return deposit.begin()

    def _open(self, account: str, opened: list[MaildirDrop]) -> None:
        self._prepare(account)
        maildir = self.maildir(account)
        self._sweep(maildir / "tmp")
        opened.append(open_drop(maildir, self._run_reading, self._sync, partial(self._removed, account)))

    def _removed(self, account: str, octets: int, messages: int) -> None:
        with contextlib.suppress(OSError):
            self.usage.changed(account, -octets, -messages)

    def _run_reading(self, function: Callable[..., Any], *args: Any) -> Any:
        return _run(self._readers, function, *args)

    def _prepare(self, account: str) -> None:
        if account in self._known:
            return
        maildir = self.maildir(account)
        for name in ("tmp", "new", "cur"):
            make_directories(maildir / name, self._root)
        self._sweep(maildir / "tmp")
        if len(self._known) >= KNOWN_AT_MOST:
            self._known.clear()
        self._known.add(account)

    def _sweep(self, tmp: Path) -> None:
        before = self._clock.now() - TMP_SECONDS
        with os.scandir(tmp) as entries:
            for entry in entries:
                try:
                    if entry.stat(follow_symlinks=False).st_mtime < before and not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                except FileNotFoundError:
                    continue  # another worker sweeps too


async def _run(pool: Executor, function: Callable[..., Any], *args: Any) -> Any:
    """Runs it in a thread. Cancelled, it still waits for the thread: files are not closed under a running write."""
    future = asyncio.get_running_loop().run_in_executor(pool, function, *args)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            await asyncio.wait([future])
        future.exception()  # seen
        raise
