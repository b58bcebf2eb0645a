"""Ownership: may this account say that it is these addresses? Puts the question of `policy.ownership` to the directory.

Rules
1. What memory knows costs no wait: `decide` answers at once, or not at all; `ask` asks for what is missing, a name at a
   time, and never more than `policy.ownership.LOOKUPS` of them for one address.
2. The first claim that is refused is the answer; all must be accepted.
3. A directory that cannot answer defers (451): nobody is refused for our fault, and nobody gets in by it.

Called by session (senders) and by what explains decisions.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from ekiden.message.originators import Claim
from ekiden.model.account import Account
from ekiden.model.decision import Ask, Decision, Verdict
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.ownership import SenderFacts, decide_sender, leads_to
from ekiden.ports.directory import Directory, DirectoryFailed

DIRECTORY_DOWN: Final = Reply(451, "4.3.0", "Senders cannot be checked right now, please try again later")
NOTHING_CLAIMED: Final = Decision(Verdict.ACCEPT, "nothing-claimed", "no address is named")

#: Where it is said, and who: None is the null reverse-path.
Claims = Sequence[tuple[Claim, Mailbox | None]]


class Ownership:
    """Of one account, as it was when it logged in: a change that takes something away ends its sessions. `ours`: our
    domains, in key form."""

    __slots__ = ("_account", "_directory", "_ours")

    def __init__(self, account: Account, directory: Directory, ours: Container[str]) -> None:
        self._account = account
        self._directory = directory
        self._ours = ours

    def decide(self, claims: Claims) -> Decision | None:
        """From memory; None: `ask`."""
        decision = NOTHING_CLAIMED
        for claim, address in claims:
            facts = self._facts(claim, address)
            answer = decide_sender(facts)
            if isinstance(answer, Ask):
                assert address is not None
                owner = peek_owner(self._directory, self._account.name, address, self._ours)
                if owner is None:
                    return None
                answer = decide_sender(facts._replace(owner=owner))
                assert isinstance(answer, Decision)
            decision = answer
            if not decision.accepted:
                break
        return decision

    async def ask(self, claims: Claims) -> Decision:
        """The same, with every question asked. Never raises for what the directory may do."""
        decision = NOTHING_CLAIMED
        for claim, address in claims:
            facts = self._facts(claim, address)
            answer = decide_sender(facts)
            if isinstance(answer, Ask):
                assert address is not None
                try:
                    owner = await find_owner(self._directory, self._account.name, address, self._ours)
                except DirectoryFailed as error:
                    return Decision(Verdict.DEFER, "directory-down", str(error), DIRECTORY_DOWN)
                answer = decide_sender(facts._replace(owner=owner))
                assert isinstance(answer, Decision)
            decision = answer
            if not decision.accepted:
                break
        return decision

    def _facts(self, claim: Claim, address: Mailbox | None) -> SenderFacts:
        return SenderFacts(self._account.name, claim, address, self._account.send_as)


def peek_owner(directory: Directory, account: str, address: Mailbox, ours: Container[str]) -> bool | None:
    """Whether mail to `address` comes to `account`; None if the store must be asked. `ours`: domains in key form."""
    walk = leads_to(account, address, ours)
    try:
        mailbox = next(walk)
        while (entry := directory.peek(mailbox)) is not None:
            mailbox = walk.send(entry)
    except StopIteration as end:
        return bool(end.value)
    return None


async def find_owner(directory: Directory, account: str, address: Mailbox, ours: Container[str]) -> bool:
    """The same, with every question asked. Raises DirectoryFailed."""
    walk = leads_to(account, address, ours)
    try:
        mailbox = next(walk)
        while True:
            mailbox = walk.send(await directory.find(mailbox))
    except StopIteration as end:
        return bool(end.value)
