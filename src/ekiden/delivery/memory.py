"""What a worker remembers of hosts for a while: which failed (they are tried last), and whose TLS did (opportunistic
TLS is left away there at once). Outlives the sites, which come and go with their letters."""

from __future__ import annotations

from typing import Final

from ekiden.ports.wire import Endpoint

#: In seconds. Long enough to spare every letter the same wait, short enough that a mended host is used again soon.
SECONDS: Final = 600.0
#: Hosts remembered; beyond it the memory starts anew.
HOSTS: Final = 10_000

Where = Endpoint | str


class HostMemory:
    """Times are monotonic seconds."""

    __slots__ = ("_failed", "_plain")

    def __init__(self) -> None:
        self._failed: dict[Where, float] = {}
        self._plain: dict[Where, float] = {}

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

    def clear(self) -> None:
        """A new configuration may have changed what was wrong."""
        self._failed.clear()
        self._plain.clear()


def _note(memory: dict[Where, float], where: Where, now: float) -> None:
    if len(memory) >= HOSTS:
        memory.clear()
    memory[where] = now + SECONDS
