"""Banning: who may not log in for a while, and for how long.

A ban closes the doors with a login (587, 465, POP3) to a network, at once at the connection; never port 25, where mail
for our own people comes in. Two ways lead there: a person (`ekiden ban add`), for any network; and guessing on and on,
for one address (IPv6: /64).

Rules of automatic bans
1. Whose logins are refused for guessing (`policy.guessing`) and who tries `limits.ban_after` times more within an hour
   is banned for `limits.ban_for`: people give up, programs do not.
2. Each further ban within 30 days after the last doubles it, up to `LONGEST`.
3. Never where many share the address (`policy.crowding.exempt`), never a listed proxy, and never an address whose
   network (/24, IPv6 /48) any account came from within 90 days: it may come back there, and its password is looked at,
   whatever its neighbours do.

Used by `accounts.bans` and `admin.bans`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from ekiden.policy.networks import IpNetwork, parse_address
from ekiden.ports.bans import KEPT_SECONDS, Ban

#: As `by` of automatic bans; no user of an operating system is called so.
BY_GUARD: Final = "guard:logins"
LONGEST: Final = 7 * 86_400.0
_SWEEP: Final = 1000


def next_ban(network: str, before: Ban | None, *, now: float, first: float, reason: str) -> Ban | None:
    """`before`: the last one of that network, over or not. None: one lasts that must not become shorter."""
    if before is not None and before.lasts(now):
        return None
    times = 1
    if before is not None and before.by == BY_GUARD and before.until and now - before.until < KEPT_SECONDS:
        times = before.times + 1
    return Ban(network, now, now + min(first * 2.0 ** min(times - 1, 20), max(first, LONGEST)), BY_GUARD, reason, times)


class BanTable:
    """Which addresses are banned: as many lookups in a dictionary as there are different lengths of prefixes."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], dict[int, float | None]] = {}  # (version, host bits) -> prefix -> until
        self._sweep_at = _SWEEP

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def learn(self, bans: Iterable[Ban], now: float) -> None:
        """Each replaces what was known of its network."""
        for ban in bans:
            network = ipaddress.ip_network(ban.network)
            bits = network.max_prefixlen - network.prefixlen
            prefix = int(network.network_address) >> bits
            table = self._tables.setdefault((network.version, bits), {})
            if ban.lasts(now):
                table[prefix] = ban.until
            else:
                table.pop(prefix, None)
        if len(self) >= self._sweep_at:
            for table in self._tables.values():
                for prefix in [prefix for prefix, until in table.items() if until is not None and until <= now]:
                    del table[prefix]
            self._sweep_at = max(_SWEEP, 2 * len(self))
        self._tables = {key: table for key, table in self._tables.items() if table}

    def bans(self, address: str, now: float) -> bool:
        """No IP address is banned never."""
        if not self._tables:
            return False
        parsed = parse_address(address)
        if parsed is None:
            return False
        number, version = int(parsed), parsed.version
        for (of, bits), table in self._tables.items():
            if of == version:
                until = table.get(number >> bits, 0.0)
                if until is None or now < until:
                    return True
        return False


def overlaps(network: IpNetwork, others: Iterable[str]) -> str:
    """The first of `others` (addresses or networks) that shares an address with it; '' if none does."""
    for text in others:
        other = ipaddress.ip_network(text, strict=False)
        if other.version == network.version and other.overlaps(network):
            return text
    return ""
