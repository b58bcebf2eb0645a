"""MailboxUsage: how much mailboxes hold, without looking through them.

A name is an account, or `@domain` for all mailboxes of a domain.

Contract
1. `peek` answers at once from memory, or None; `find` asks, and counts once what was never counted. Answers are a few
   seconds old at most; what this worker delivered meanwhile is in them.
2. What other programs bring or take away is seen when it is counted anew: once a day, or by `recount`.
3. `mark` and `unmark` keep in mind, for all workers and after a restart, that the owner was warned.
4. `find`, `recount`, `mark` and `unmark` raise MailboxFailed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Usage(NamedTuple):
    """`marked`: see `mark`."""

    octets: int
    messages: int
    marked: bool = False


class MailboxUsage(Protocol):
    def peek(self, name: str) -> Usage | None: ...

    async def find(self, name: str) -> Usage: ...

    async def recount(self, name: str) -> Usage: ...

    async def mark(self, name: str) -> bool:
        """False: it is marked already."""

    async def unmark(self, name: str) -> None: ...
