"""RecipientProbe: call-ahead, asking the next hop of a routed domain whether a recipient exists.

Contract: answers are cached, negatives too. `ask` never raises: while the next hop is down it answers 450 4.4.1.
`RecipientLists`: the files named by `recipients = "list:FILE"`.
"""

from __future__ import annotations

from typing import Protocol

from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply


class RecipientProbe(Protocol):
    def peek(self, mailbox: Mailbox) -> Reply | None:
        """The cached answer, or None."""

    async def ask(self, mailbox: Mailbox) -> Reply:
        """2xx: exists. 5xx: does not. 4xx: cannot be known now."""


class RecipientLists(Protocol):
    def contains(self, path: str, mailbox_key: str) -> bool:
        """`path` as configured; the list is held in memory and read again at reload. A file that has gone keeps its
        last content."""
