"""KnownPairs: which accounts logged in from which networks lately. Under a storm of guesses their checks come first.

A pair is an account and a client's network (`policy.login_network`). It gives no right; it only tells who has been
here before from who has not.

Contract
1. `succeeded` costs a dict lookup; it is written later, with others, and a crash may lose what was not written yet.
2. A pair is known for `KNOWN_DAYS` after its last success; all workers of the machine learn of it within a minute.
3. An engine that fails knows nobody: logins go on, only without their privilege.
"""

from __future__ import annotations

from typing import Final, Protocol

#: Who was not here for so long gets no privilege; holidays are shorter.
KNOWN_DAYS: Final = 90


class KnownPairs(Protocol):
    @property
    def secret(self) -> bytes:
        """32 unpredictable octets, the same in every worker and after every start. False SCRAM salts are made of it:
        a login that nobody has must look the same tomorrow."""

    async def knows(self, account: str, network: str) -> bool: ...

    async def knows_network(self, network: str) -> bool:
        """Whether any account came from there lately. Asked seldom, and not remembered."""

    def succeeded(self, account: str, network: str) -> None: ...
