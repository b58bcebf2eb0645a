"""MemoryMailboxes: `ports.mailboxes.Mailboxes` in a dictionary, for tests and the lab. Nothing survives the process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from ekiden.model.ids import LetterId, render_id
from ekiden.ports.mailboxes import DropItem, MailboxFailed, MaildropBusy
from ekiden.ports.spool import Content

CHUNK_OCTETS: Final = 64 * 1024


class MemoryMailboxes:
    """`messages`: account -> unique id -> octets. `failing`: steps that raise MailboxFailed: 'deliver', 'open', 'read',
    'remove'."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, bytes]] = {}
        self.failing: set[str] = set()
        self._delivered: set[tuple[str, LetterId, str]] = set()
        self._busy: set[str] = set()

    async def deliver(self, account: str, letter: LetterId, recipient: str, head: bytes, content: Content) -> None:
        self.check("deliver")
        octets = content.octets
        if octets is None:
            octets = b"".join([chunk async for chunk in content.chunks()])
        if (account, letter, recipient) in self._delivered:
            return
        self._delivered.add((account, letter, recipient))
        box = self.messages.setdefault(account, {})
        box[f"{render_id(letter)}.{len(self._delivered)}"] = head + octets

    async def open_maildrop(self, account: str) -> MemoryMaildrop:
        self.check("open")
        if account in self._busy:
            raise MaildropBusy(account)
        self._busy.add(account)
        return MemoryMaildrop(self, account)

    def release(self, account: str) -> None:
        self._busy.discard(account)

    def check(self, step: str) -> None:
        if step in self.failing:
            raise MailboxFailed(f"told to fail at {step}")


class MemoryMaildrop:
    def __init__(self, store: MemoryMailboxes, account: str) -> None:
        self._store = store
        self._account = account
        self._box = store.messages.setdefault(account, {})
        self._items = [DropItem(uid, _transmitted(octets)) for uid, octets in self._box.items()]
        self._open = True

    @property
    def items(self) -> Sequence[DropItem]:
        return self._items

    @property
    def total_octets(self) -> int:
        return sum(item.size_octets for item in self._items)

    async def read(self, index: int) -> AsyncGenerator[bytes, None]:
        octets = self._box[self._items[index].unique_id]
        for start in range(0, len(octets), CHUNK_OCTETS):
            self._store.check("read")
            yield octets[start : start + CHUNK_OCTETS]

    async def remove(self, indexes: Sequence[int]) -> Sequence[int]:
        if "remove" in self._store.failing:
            return list(indexes)
        for index in indexes:
            self._box.pop(self._items[index].unique_id, None)
        return []

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._store.release(self._account)


def _transmitted(octets: bytes) -> int:
    return len(octets) + (2 if octets and not octets.endswith(b"\r\n") else 0)
