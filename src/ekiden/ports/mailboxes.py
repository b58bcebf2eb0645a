"""Mailboxes: where local letters end, and POP3's maildrop on top of them.

Contract
1. `deliver` is durable on return (file and directory synced, or committed) and idempotent by (letter, recipient): a
   repeated call for the same pair makes no second copy, even when the first copy was moved, flagged, read or deleted
   meanwhile (DESIGN §5, Maildir).
2. `head` is put in front of the content (Return-Path, Delivered-To); content keeps its CRLFs.
3. `open_maildrop` gives an exclusive session a mailbox across all processes; raises MaildropBusy at once if another
   has it.
4. Unique ids are stable across sessions and servers' restarts, and are never used again (RFC 1939 §7 UIDL).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from ekiden.model.ids import LetterId
from ekiden.ports.spool import Content


class MaildropBusy(Exception):
    """Another session has the maildrop: POP3 [IN-USE] (RFC 2449 §8.1.1)."""


class MailboxFailed(Exception):
    """Temporary (disk full, I/O error): 452 4.3.1 or 451 4.3.0. `str()` for the log; never sent to strangers."""


class DropItem(NamedTuple):
    """A message of a maildrop. `unique_id`: 1 to 70 characters from 0x21 to 0x7E (RFC 1939 §7). `size_octets` with CRLF
    line ends, as transmitted by RETR without dot-stuffing (a CRLF that RETR adds at the very end is counted)."""

    unique_id: str
    size_octets: int


class Maildrop(Protocol):
    @property
    def items(self) -> Sequence[DropItem]:
        """Fixed for the session; index 0 is message number 1. Items may be made anew at each access."""

    @property
    def total_octets(self) -> int:
        """The sum of all items' sizes."""

    def read(self, index: int) -> AsyncGenerator[bytes, None]:
        """The octets with CRLF line ends, in chunks of at most 64 KiB. Close it (`aclosing`) if you stop early.

        Raises MailboxFailed; KeyError if it is gone. Does not add a CRLF at the very end; `size_octets` counts it."""

    async def remove(self, indexes: Sequence[int]) -> Sequence[int]:
        """Deletes durably; returns those that could not be deleted. Called once, at QUIT."""

    async def close(self) -> None:
        """Releases the lock. Idempotent."""


class Mailboxes(Protocol):
    async def deliver(self, account: str, letter: LetterId, recipient: str, head: bytes, content: Content) -> None:
        """Raises MailboxFailed."""

    async def open_maildrop(self, account: str) -> Maildrop:
        """Makes the mailbox if there is none. Raises MaildropBusy, MailboxFailed."""
