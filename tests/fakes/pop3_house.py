"""Pop3House: a POP3 door with its accounts, mailboxes and clock, all in memory, and sessions on fake wires."""

from __future__ import annotations

import asyncio

from ekiden.accounts.login import Authenticator
from ekiden.config.model import DoorRules
from ekiden.model.account import Account, ScramVerifier
from ekiden.model.door import Door
from ekiden.model.ids import IdSequence, LetterId
from ekiden.session.gate import DoorGate
from ekiden.session.knocks import KnockBook
from ekiden.session.pop3 import Pop3Session
from ekiden.session.pop3_doorway import Pop3Doorway
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from ekiden.storage.memory.mailboxes import MemoryMailboxes
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.passwords import FakeHasher
from tests.fakes.wire import TLS13, FakeWire

ALICE = "alice@example.test"
SCRAM = ScramVerifier(b"s" * 16, 4096, b"k" * 32, b"v" * 32)


async def settle(turns: int = 30) -> None:
    """Lets everything that can go on go on."""
    for _ in range(turns):
        await asyncio.sleep(0)


class Pop3House:
    """alice@example.test with the password wonderland. Call `begin` first."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events = CollectingSink()
        self.hasher = FakeHasher()
        self.directory = MemoryDirectory()
        self.mailboxes = MemoryMailboxes()
        self._letters = IdSequence(1)
        self.doorway = Pop3Doorway(
            door=Door.POP3,
            hostname="mail.example.test",
            clock=self.clock,
            ids=IdSequence(2),
            events=self.events,
            mailboxes=self.mailboxes,
            gate=DoorGate(Door.POP3, DoorRules(), KnockBook(self.clock, self.events)),
            authenticator=Authenticator(
                self.directory, self.hasher, self.clock, FakeRandom(), MemoryKnownPairs(), ["example.test"]
            ),
        )

    async def begin(self, *messages: bytes) -> Pop3House:
        await self.directory.add_account(Account(ALICE, "$fake$wonderland", SCRAM))
        for octets in messages:
            letter = LetterId(self._letters.next(self.clock.now()))
            await self.mailboxes.deliver(ALICE, letter, ALICE, b"", MemoryContent(octets))
        return self

    @property
    def box(self) -> list[bytes]:
        return list(self.mailboxes.messages[ALICE].values())

    def visit(self, *, tls: bool = True, doorway: Pop3Doorway | None = None) -> Visit:
        return Visit(doorway or self.doorway, tls=tls)

    async def visit_logged_in(self) -> Visit:
        visit = self.visit()
        visit.wire.take()
        assert await visit.say("USER alice@example.test", "PASS wonderland") != ""
        return visit


class Visit:
    """One session on its wire."""

    def __init__(self, doorway: Pop3Doorway, *, tls: bool) -> None:
        self.session = Pop3Session(doorway)
        self.wire = FakeWire(self.session, tls=TLS13 if tls else None)
        self.wire.open()

    async def say(self, *lines: str) -> str:
        """Sends the lines in one read; what came back."""
        return (await self.send("".join(f"{line}\r\n" for line in lines).encode())).decode()

    async def send(self, octets: bytes) -> bytes:
        self.wire.feed(octets)
        await settle()
        return self.wire.take()

    async def end(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        self.wire.hang_up(error)
        await settle()
