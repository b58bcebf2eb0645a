"""A whole Delivery over fakes, for tests: nothing sleeps, `settle` runs the loop until nothing moves any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ekiden.accounts.quotas import Quotas
from ekiden.config.model import Config, Domain, Route, Site
from ekiden.config.model import Delivery as DeliverySection
from ekiden.delivery.dispatch import Delivery
from ekiden.delivery.road import Credentials
from ekiden.delivery.tools import Tools
from ekiden.model.account import Account, ScramVerifier
from ekiden.model.envelope import Envelope, Notify, Origin, Recipient
from ekiden.model.events import AttemptFinished, ReportMade, ReportWithheld
from ekiden.model.ids import IdSequence, LetterId
from ekiden.model.outcome import Outcome
from ekiden.policy.next_hop import NextHops
from ekiden.ports.spool import QueuedLetter, Selection
from ekiden.ports.wire import ConnectFailed, Endpoint
from ekiden.spool.notices import Notices
from ekiden.spool.window import Window
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.mailboxes import MemoryMailboxes
from ekiden.storage.memory.notice_book import MemoryNoticeBook
from ekiden.storage.memory.road import MemoryRoad
from ekiden.storage.memory.spool import MemorySpool
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.resolver import FakeResolver
from tests.fakes.slots import FakeBell, FakeSlots
from tests.fakes.smtp_server import FakeSmtpServer
from tests.fakes.usage import FakeUsage
from tests.fakes.wire import FakeConnector
from tests.unit.delivery.letters import CONTENT

#: Turns of the loop after which something that still moves is a livelock.
TURNS = 400


def config(*routes: Route, hostname: str = "mail.example.test", sites: Sequence[Site] = (), **delivery: Any) -> Config:
    return Config(
        hostname=hostname,
        data_dir="/d",
        domain=(Domain(name="example.test"),),
        route=routes,
        site=tuple(sites),
        delivery=DeliverySection(**delivery),
    )


class PostOffice:
    """Our domain is example.test, with an account alice. `server(domain, …)` makes a far one, with MX and address."""

    def __init__(
        self,
        settings: Config | None = None,
        secrets: Mapping[str, Credentials] | None = None,
        *,
        beside: PostOffice | None = None,
        workers: int = 1,
    ) -> None:
        """`beside`: another worker of the same server: time, store, network and budgets are its too."""
        self.config = settings or config()
        self.clock = beside.clock if beside else FakeClock()
        incarnation = 2 if beside else 1
        self.spool = MemorySpool(self.clock, incarnation, shared=beside.spool if beside else None)
        self.slots = FakeSlots(self.clock, beside.slots if beside else None)
        self.bell = FakeBell()
        if beside:
            self.bell.others, beside.bell.others = [beside.bell], [self.bell]
        self.window = Window(self.config.delivery.window_letters, self.config.delivery.window_octets)
        self.resolver = beside.resolver if beside else FakeResolver()
        self.connector = beside.connector if beside else FakeConnector()
        self.directory = MemoryDirectory(domains=("example.test",))
        self.mailboxes = MemoryMailboxes()
        self.events = CollectingSink()
        self.usage = FakeUsage()
        self.quotas = Quotas(self.usage, self.clock, self.events, self.usage.warn)
        self.quotas.configure(self.config.domain)
        self.ids = IdSequence(incarnation)
        random = FakeRandom(fraction=0.5)
        self.road = MemoryRoad(beside.road if beside else None)
        self.notice_book = beside.notice_book if beside else MemoryNoticeBook()
        self.notices = Notices(self.spool, self.notice_book, self.clock, self.events, self.window.nudge)
        self.notices.configure(self.config)
        tools = Tools(
            self.spool,
            self.window,
            self.resolver,
            self.connector,
            self.directory,
            self.mailboxes,
            self.events,
            self.clock,
            random,
            self.ids,
            self.slots,
            self.bell,
            workers,
            road=self.road,
            notices=self.notices,
            quotas=self.quotas,
        )
        self.delivery = Delivery(tools, self.config, secrets or {})
        self._addresses = 0

    async def __aenter__(self) -> PostOffice:
        await self.directory.add_account(Account("alice@example.test", "", ScramVerifier(b"", 1, b"", b"")))
        await self.delivery.prepare()
        self.delivery.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.delivery.aclose()

    # -- the world

    def server(self, domain: str, *servers: FakeSmtpServer | ConnectFailed) -> None:
        """MX hosts of `domain` in order of preference."""
        records = []
        for number, server in enumerate(servers):
            self._addresses += 1
            host, address = f"mx{number}.{domain}", f"20.0.{self._addresses >> 8}.{self._addresses & 255}"
            records.append((number, host))
            self.resolver.address_records[host] = [address]
            self.connector.targets[Endpoint(address, 25)] = server
        self.resolver.mx_records[domain] = records

    # -- letters

    async def send(
        self,
        *paths: str | Recipient,
        reverse_path: str = "alice@example.test",
        claim: bool = True,
        content: bytes = CONTENT,
        is_report: bool = False,
        flow: str = "alice",
        priority: int = 0,
    ) -> LetterId:
        """Accepts a letter as a session does."""
        draft = self.spool.begin()
        draft.write(content)
        recipients = [path if isinstance(path, Recipient) else Recipient(path) for path in paths]
        header = content.find(b"\r\n\r\n") + 4
        envelope = Envelope(
            reverse_path,
            self.clock.now(),
            Origin(),
            size_octets=len(content),
            header_octets=header,
            is_report=is_report,
            priority=priority,
        )
        legs = NextHops(self.config).legs(envelope, recipients, flow=flow, priority=priority)
        claim = claim and self.window.has_room(len(content))
        claims = await self.spool.accept(draft, envelope, legs, claim=claim)
        if claim:
            self.window.offer(claims)
        else:
            self.window.nudge()
        return draft.letter

    async def settle(self) -> None:
        """Lets everything happen that happens without time passing."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Time goes on, with a tick a step as the worker makes them."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            now = self.clock.monotonic()
            self.delivery.tick(now)
            for wire in self.connector.wires:
                if not wire.is_lost:
                    wire.user.tick(now)
            await self.settle()

    # -- what came of it

    async def queued(self, letter: LetterId | None = None) -> list[QueuedLetter]:
        return await self.spool.find(Selection(letter=letter))

    async def outcomes(self, letter: LetterId) -> list[Outcome]:
        return [outcome for entry in await self.spool.trail(letter) for outcome in entry.outcomes]

    async def kinds(self, letter: LetterId) -> list[str]:
        return [outcome.kind.value for outcome in await self.outcomes(letter)]

    @property
    def attempts(self) -> list[AttemptFinished]:
        return self.events.of(AttemptFinished)

    @property
    def reports(self) -> list[tuple[str, str]]:
        """(kind, to) of each report made."""
        return [(event.kind, event.to) for event in self.events.of(ReportMade)]

    @property
    def withheld(self) -> list[str]:
        return [event.forward_path for event in self.events.of(ReportWithheld)]

    def mailbox(self, account: str) -> list[bytes]:
        return list(self.mailboxes.messages.get(account, {}).values())


def wishes(path: str, *notify: Notify) -> Recipient:
    return Recipient(path, notify)
