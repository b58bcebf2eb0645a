"""Gate: who may come in at a door, and who is told that it is the wrong one.

Contract
1. Asked once a connection, with the client's address: behind a listed proxy the one that the PROXY header names. Who
   was let in is told to have `left` when the connection is gone, once, with the same address.
2. `enter`, `refused` and `wrong` tell the postmaster themselves (bounded: a scanner fills no log); the caller closes.
3. Nothing here waits.
"""

from __future__ import annotations

from typing import Final, Protocol

from ekiden.model.wrong_door import WrongDoor


class Gate(Protocol):
    @property
    def tls_first(self) -> bytes:
        """What a client hears in the clear that does not begin with TLS behind a door that does."""

    def expects_header(self, address: str) -> bool:
        """It is a listed proxy: the connection must begin with a PROXY header."""

    def enter(self, address: str) -> bytes | None:
        """None: let in. Else what the client hears, where that can be said in the clear."""

    def still_welcome(self, address: str) -> bool:
        """Of who was let in: whether that holds. Asked when bans have changed; the caller closes."""

    def left(self, address: str) -> None: ...

    def refused(self, address: str, rule: str, detail: str) -> None:
        """A listed proxy broke its word."""

    def wrong(self, address: str, what: WrongDoor) -> None: ...


class OpenGate:
    """Everybody may come in, nobody is told: for benches and tests."""

    tls_first: Final = b""

    def expects_header(self, address: str) -> bool:
        return False

    def enter(self, address: str) -> bytes | None:
        return None

    def still_welcome(self, address: str) -> bool:
        return True

    def left(self, address: str) -> None:
        """Nobody counts."""

    def refused(self, address: str, rule: str, detail: str) -> None:
        """Nobody asks."""

    def wrong(self, address: str, what: WrongDoor) -> None:
        """Nobody asks."""


OPEN_GATE: Final = OpenGate()
