"""What a worker remembers of hosts for a while: which failed (they are tried last), whose TLS did (opportunistic TLS is
left away there at once), and which address family worked (it is tried first). Outlives the sites, which come and go
with their letters."""

from __future__ import annotations

from typing import Final, TypeVar

from ekiden.ports.wire import Endpoint

#: In seconds. Long enough to spare every letter the same wait, short enough that a mended host is used again soon.
SECONDS: Final = 600.0
#: Hosts remembered; beyond it the memory starts anew.
HOSTS: Final = 10_000

Where = Endpoint | str
Key = TypeVar("Key", Endpoint | str, str)


class HostMemory:
    """Times are monotonic seconds."""

    __slots__ = ("_failed", "_ipv4", "_ipv6", "_plain")

    def __init__(self) -> None:
        self._failed: dict[Where, float] = {}
        self._plain: dict[Where, float] = {}
        self._ipv4: dict[str, float] = {}
        self._ipv6: dict[str, float] = {}

    def note_failed(self, where: Where, now: float) -> None:
        _note(self._failed, where, now)

    def note_works(self, where: Where) -> None:
        self._failed.pop(where, None)

    def note_plain(self, where: Where, now: float) -> None:
        """Its TLS handshake failed."""
        _note(self._plain, where, now)

    def has_failed(self, where: Where, now: float) -> bool:
        return self._failed.get(where, 0.0) > now

    def is_plain(self, where: Where, now: float) -> bool:
        return self._plain.get(where, 0.0) > now

    def note_family(self, host: str, now: float, *, ipv6: bool) -> None:
        """It worked. While something is remembered, nothing is noted: the other family gets its turn in the end."""
        if not self.family_of(host, now):
            _note(self._ipv6 if ipv6 else self._ipv4, host, now)

    def prefer_ipv4(self, host: str, now: float) -> None:
        """It does not want our mail over IPv6."""
        self._ipv6.pop(host, None)
        _note(self._ipv4, host, now)

    def family_of(self, host: str, now: float) -> str:
        """ipv4, ipv6 or ''. `host`: a name."""
        if self._ipv4.get(host, 0.0) > now:
            return "ipv4"
        return "ipv6" if self._ipv6.get(host, 0.0) > now else ""

    def clear(self) -> None:
        """A new configuration may have changed what was wrong."""
        self._failed.clear()
        self._plain.clear()
        self._ipv4.clear()
        self._ipv6.clear()


def _note(memory: dict[Key, float], where: Key, now: float) -> None:
    if len(memory) >= HOSTS:
        memory.clear()
    memory[where] = now + SECONDS
