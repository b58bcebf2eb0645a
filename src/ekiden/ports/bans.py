"""Bans: networks that may not log in for a while, because a guard or a person said so.

Contract
1. `put` is durable on return. All processes of the machine see it at their next `news`.
2. `news` never waits for a writer; the app asks four times a second.
3. There is one ban a network, the last that was put. What is over is kept for `KEPT_SECONDS`, so that who comes back
   is known. `MOST` in all; then those go that were over first, and what a person put without an end stays.
4. `until` is wall-clock time: a ban outlives restarts and the machine's power.

What a ban closes is decided in `policy.banning`. Called by `accounts.bans` and `admin.bans`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

KEPT_SECONDS: Final = 30 * 86_400.0
MOST: Final = 20_000
#: `until` of a ban that was lifted.
LIFTED: Final = 0.0


class Ban(NamedTuple):
    """`network`: CIDR form, host bits zero. `until`: None: until somebody lifts it; `LIFTED`: somebody has. `by`: the
    operating-system user, or the guard. `times`: how often in a row a guard banned it."""

    network: str
    since: float
    until: float | None
    by: str
    reason: str = ""
    times: int = 1

    def lasts(self, now: float) -> bool:
        return self.until is None or now < self.until


class BansFailed(Exception):
    """The store cannot answer or keep it. `str()` is a sentence."""


class Bans(Protocol):
    async def put(self, ban: Ban) -> None:
        """In place of the one of that network, if there is one. Raises BansFailed."""

    async def find(self, network: str) -> Ban | None:
        """Also one that is over. Raises BansFailed."""

    async def all(self) -> Sequence[Ban]:
        """In the order of networks as text. Raises BansFailed."""

    def news(self) -> Sequence[Ban]:
        """What was put since the last call, by any process; at the first call all. Raises BansFailed."""
