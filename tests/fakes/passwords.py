"""FakeHasher: a PasswordHasher whose hash can be read, and that counts what it was asked."""

from __future__ import annotations

import asyncio

from ekiden.ports.passwords import HasherBusy


class FakeHasher:
    """`ports.passwords.PasswordHasher`. `busy`: every call raises HasherBusy. `gate`: set it to hold checks until
    `gate.set()`."""

    def __init__(self) -> None:
        self.busy = False
        self.gate: asyncio.Event | None = None
        self.verified = 0
        self.nobody = 0
        self.known: list[bool] = []

    async def hash(self, password: str) -> str:
        await self._turn()
        return f"$fake${password}"

    async def verify(self, encoded: str, password: str, *, known: bool = True) -> bool:
        self.verified += 1
        self.known.append(known)
        await self._turn()
        return encoded == f"$fake${password}"

    async def verify_nobody(self, password: str, *, known: bool = True) -> bool:
        self.nobody += 1
        self.known.append(known)
        await self._turn()
        return False

    async def _turn(self) -> None:
        if self.busy:
            raise HasherBusy("busy")
        if self.gate is not None:
            await self.gate.wait()
