"""KnownRecipients: whom an account has written to before. Who suddenly writes to many strangers was robbed.

Recipients are mailbox keys. What is kept is a hash of 64 bits for each, exact enough: of a million recipients that an
account knows, one stranger in 18 billion would be taken for one of them.

Contract
1. `peek` answers at once from memory, or None if it would have to ask the store; `knows` asks.
2. `learned` costs a dict lookup a recipient; they are written later, with others, and a crash may lose the last
   ones. They are known in this worker at once, in others within a minute.
3. An account knows `MOST_KNOWN` recipients at most; further ones stay strangers.
4. An engine that fails knows everybody: letters go on, only unguarded.
5. `add`, `count` and `forget` are for commands; they are durable when they return, and raise RecipientsFailed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

#: Of an account: about 20 MB on disk. Who writes to more needs no limit on strangers.
MOST_KNOWN: Final = 1_000_000


class RecipientsFailed(Exception):
    """The store could not be read or written; `str()` says why."""


class KnownRecipients(Protocol):
    def peek(self, account: str, recipient: str) -> bool | None: ...

    async def knows(self, account: str, recipient: str) -> bool: ...

    def learned(self, account: str, recipients: Iterable[str]) -> None: ...

    async def add(self, account: str, recipients: Iterable[str]) -> int:
        """How many of them were new."""

    async def count(self, account: str) -> int: ...

    async def forget(self, account: str) -> None:
        """The account knows nobody any more."""
