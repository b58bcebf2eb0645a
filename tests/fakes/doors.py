"""A door with everything behind it in memory: real protocol machine, session, policy, spool and directory; no socket.

hall = Hall()                                  # example.test, with alice and bob
wire = hall.knock(Door.RELAY)                   # greeted
wire.feed(b"EHLO client.test\\r\\n")
"""

from __future__ import annotations

import asyncio

from ekiden.accounts.login import Authenticator
from ekiden.accounts.quotas import Quotas
from ekiden.config.model import Config, Domain, Relay
from ekiden.model.account import Account, ScramVerifier
from ekiden.model.door import DOORS, Door
from ekiden.model.ids import IdSequence
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.networks import NetworkSet
from ekiden.ports.spool import Claim
from ekiden.ports.tokens import TokenVerifier
from ekiden.ports.wire import Endpoint
from ekiden.session.callers import Callers
from ekiden.session.conversation import Conversation
from ekiden.session.doorway import Doorway
from ekiden.session.gate import DoorGate
from ekiden.session.guard_report import GuardReport
from ekiden.session.knocks import KnockBook
from ekiden.session.relay import relay_conversation
from ekiden.session.submission import submission_conversation
from ekiden.spool.window import Window
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from ekiden.storage.memory.known_recipients import MemoryKnownRecipients
from ekiden.storage.memory.spool import MemorySpool
from ekiden.storage.memory.tally import MemoryTally
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.passwords import FakeHasher
from tests.fakes.usage import FakeUsage
from tests.fakes.wire import TLS13, FakeWire

PASSWORD = "correct horse battery"
NO_SCRAM = ScramVerifier(b"", 0, b"", b"")


class FakeLists:
    """`names`: mailbox keys on any list."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def contains(self, path: str, mailbox_key: str) -> bool:
        return mailbox_key in self.names


class FakeProbe:
    """`answers`: by mailbox key; others do not exist. `asked`: every question. Nothing is cached."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.asked: list[str] = []

    def peek(self, mailbox: Mailbox) -> Reply | None:
        return None

    async def ask(self, mailbox: Mailbox) -> Reply:
        self.asked.append(mailbox.key)
        return self.answers.get(mailbox.key, Reply(550, "5.1.1", "unknown"))


class Hall:
    """Doors that share one spool, directory and window. `offered`: the claims that reached the window."""

    def __init__(self, tokens: TokenVerifier | None = None, **config: object) -> None:
        given: dict[str, object] = {
            "hostname": "mail.example.test",
            "data_dir": "/nowhere",
            "domain": (Domain(name="example.test"),),
            "relay": Relay(trusted_networks=("10.0.0.7/32",)),
        }
        self.config = Config(**(given | config))
        self.clock = FakeClock()
        self.random = FakeRandom()
        self.events = CollectingSink()
        self.knocks = KnockBook(self.clock, self.events)
        self.spool = MemorySpool(self.clock)
        self.directory = MemoryDirectory(domains=[d.name for d in self.config.domain])
        self.hasher = FakeHasher()
        self.pairs = MemoryKnownPairs()
        self.lists = FakeLists()
        self.probe = FakeProbe()
        self.tally = MemoryTally(self.clock)
        self.guards = GuardReport(self.tally, self.events)
        self.usage = FakeUsage()
        self.quotas = Quotas(self.usage, self.clock, self.events, self.usage.warn)
        self.quotas.configure(self.config.domain)
        self.known_recipients = MemoryKnownRecipients()
        self.window = Window(100, 1024 * 1024)
        self.offered: list[Claim] = []
        self.nudges = 0
        self.waits: list[float] = []
        self.gateways: frozenset[str] = frozenset()
        self.shared = NetworkSet(())
        self.callers: Callers | None = None
        self.window.attach(self.offered.extend, self._nudged)
        domains = [d.name for d in self.config.domain]
        self.authenticator = Authenticator(
            self.directory, self.hasher, self.clock, self.random, self.pairs, domains, tokens=tokens
        )

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _nudged(self) -> None:
        self.nudges += 1

    async def add(self, name: str, password: str = PASSWORD, *, profile: str = "") -> Account:
        account = Account(f"{name}@example.test", await self.hasher.hash(password), NO_SCRAM, profile=profile)
        await self.directory.add_account(account)
        return account

    def doorway(self, door: Door, *, tls: bool = True) -> Doorway:
        return Doorway(
            door,
            self.config,
            self.clock,
            self.random,
            IdSequence(1),
            self.events,
            self.spool,
            self.window,
            self.directory,
            self.authenticator,
            self.lists,
            self.probe,
            self.tally,
            self.guards,
            self.known_recipients,
            tls,
            self.authenticator.mechanisms,
            gateways=self.gateways,
            shared=self.shared,
            quotas=self.quotas,
            pause=self._pause,
            gate=DoorGate(door, self.config.doors.of(door), self.knocks),
            callers=None if DOORS[door].login else self.callers,
        )

    def knock(self, door: Door, *, client: str = "192.0.2.1", tls: bool | None = None) -> FakeWire:
        """A new connection, greeted; `wire.user` is the Conversation."""
        make = submission_conversation if DOORS[door].login else relay_conversation
        active = DOORS[door].implicit_tls if tls is None else tls
        wire = FakeWire(make(self.doorway(door)), peer=Endpoint(client, 40_000), tls=TLS13 if active else None)
        wire.open()
        wire.take()
        return wire


def conversation(wire: FakeWire) -> Conversation:
    assert isinstance(wire.user, Conversation)
    return wire.user


async def say(wire: FakeWire, octets: bytes) -> bytes:
    """Feeds octets and lets everything that waits on memory come to its end; what was answered."""
    wire.feed(octets)
    for _ in range(20):
        await asyncio.sleep(0)
    return wire.take()
