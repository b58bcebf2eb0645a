"""Remembered: passwords that were right a moment ago, so that a program which polls every minute costs one Argon2 in
five.

What is kept is an HMAC over name, epoch and password under a key that this process drew at random: it is useless in
another process, and a new epoch makes it match no more. The password itself is never kept. Called by
`accounts.login`.
"""

from __future__ import annotations

import hmac
from typing import Final

from ekiden.model.account import Account
from ekiden.ports.clock import Clock

#: How long a success is remembered, counted from the last Argon2 check and not prolonged by use.
REMEMBER_SECONDS: Final = 300.0
#: 100 octets or so each: a megabyte.
REMEMBER_AT_MOST: Final = 10_000


class Remembered:
    """`key`: 32 octets of this process's own. Passwords are in prepared form."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._until: dict[bytes, float] = {}  # MAC -> until when (monotonic), oldest first

    def __len__(self) -> int:
        return len(self._until)

    def mac(self, account: Account, prepared: str) -> bytes:
        name = account.name.encode()
        message = b"%d:%s%d:%s" % (len(name), name, account.epoch, prepared.encode("utf-8", "surrogatepass"))
        return hmac.digest(self._key, message, "sha256")

    def __contains__(self, mac: bytes) -> bool:
        until = self._until.get(mac)
        if until is None:
            return False
        if self._clock.monotonic() < until:
            return True
        del self._until[mac]
        return False

    def add(self, mac: bytes) -> None:
        self._until.pop(mac, None)
        while len(self._until) >= REMEMBER_AT_MOST:
            del self._until[next(iter(self._until))]
        self._until[mac] = self._clock.monotonic() + REMEMBER_SECONDS
