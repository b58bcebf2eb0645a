"""Where mail to an address would come to: the fact 'owner' of `policy.ownership`, asked of the directory.

`peek_owner` answers from memory, or not at all: the usual case costs no wait. `find_owner` asks for what is missing, a
name at a time, and never more than `policy.ownership.LOOKUPS` of them.

Called by session (senders) and by what explains decisions.
"""

from __future__ import annotations

from collections.abc import Container

from ekiden.model.account import DirectoryEntry
from ekiden.model.mailbox import Mailbox
from ekiden.policy.ownership import leads_to
from ekiden.ports.directory import Directory


def peek_owner(directory: Directory, account: str, address: Mailbox, ours: Container[str]) -> bool | None:
    """Whether mail to `address` comes to `account`; None if the store must be asked. `ours`: domains in key form."""
    entries: dict[str, DirectoryEntry] = {}
    while isinstance(answer := leads_to(account, address, ours, entries), Mailbox):
        entry = directory.peek(answer)
        if entry is None:
            return None
        entries[answer.key] = entry
    return answer


async def find_owner(directory: Directory, account: str, address: Mailbox, ours: Container[str]) -> bool:
    """The same, with every question asked. Raises DirectoryFailed."""
    entries: dict[str, DirectoryEntry] = {}
    while isinstance(answer := leads_to(account, address, ours, entries), Mailbox):
        entries[answer.key] = await directory.find(answer)
    return answer
