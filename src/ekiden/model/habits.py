"""Habits: what an account usually does, kept small (about a kilobyte), and whether its brake is on.

Rules
1. Counts and networks only: no recipient, no subject, no address of a client is kept.
2. What happened within the last 24 hours stands in `recent`, by hour, and is no habit yet; `policy.brake` makes days
   of it. So a flood never becomes usual while it lasts.
3. msgspec arrays: fields are only ever added, at the end, with a default.
"""

from __future__ import annotations

import msgspec


class Hour(msgspec.Struct, array_like=True):
    """`hour`: since 1970. `first_time`: recipients that the account never wrote to before; `strange`: those of them
    that were written to from a new network. `failed`: recipients that were refused or came back. `networks`: the most
    that it came from within one hour."""

    hour: int
    letters: int = 0
    recipients: int = 0
    first_time: int = 0
    strange: int = 0
    failed: int = 0
    networks: int = 0


class Day(msgspec.Struct, array_like=True):
    """`day`: since 1970, UTC. The rest as in Hour, added up; `networks`: of its busiest hour."""

    day: int
    letters: int = 0
    recipients: int = 0
    first_time: int = 0
    failed: int = 0
    networks: int = 0


class Habits(msgspec.Struct, array_like=True):
    """`since`: when it was first seen, in seconds since 1970. `letters`: of all days but the last 24 hours. `hours`:
    those letters by hour of the day (UTC). `days`: the last ones with letters. `networks`: `192.0.2.0/24` -> when it
    was first and last seen. `braked`: since when, 0: it is not; `reason`: for people; `told`: the postmaster was."""

    since: float
    letters: int = 0
    hours: list[int] = []
    recent: list[Hour] = []
    days: list[Day] = []
    networks: dict[str, tuple[float, float]] = {}
    braked: float = 0.0
    reason: str = ""
    told: bool = False


class Sighting(msgspec.Struct):
    """What one worker saw of an account in the last seconds. `networks`: `192.0.2.0/24` -> recipients never written to
    before that letters from there had; 0 for mere logins."""

    letters: int = 0
    recipients: int = 0
    failed: int = 0
    networks: dict[str, int] = {}
