"""The composition root: builds a worker's objects out of a configuration, and exchanges them at a reload.

Two kinds of parts:
    for life            stores, connections, the doors' sockets, delivery: made once
    of a configuration  doorways, certificates, resolver, lists, secrets: made by `_make_rules`, whole, before anything
                        is exchanged

Rules
1. A reload that fails raises StartRefused before anything was changed; sessions and attempts that are under way keep
   what they began with (DESIGN §5 "Doors").
2. This is the only module that knows which engine stands behind which port (with `app.stores`).

Called by `app.worker`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from ekiden.accounts.bans import BanBook
from ekiden.accounts.guarded_login import GuardedAuthenticator, GuessGuard
from ekiden.accounts.login import Authenticator
from ekiden.accounts.quotas import Quotas
from ekiden.app.bells import WorkerBell
from ekiden.app.callers import CallersDesk
from ekiden.app.clock import SystemClock, SystemRandom
from ekiden.app.current import CurrentResolver
from ekiden.app.neighbourhood import read_neighbourhood
from ekiden.app.recipient_lists import FileRecipientLists
from ekiden.app.refusal import StartRefused
from ekiden.app.secrets import read_secrets
from ekiden.app.stores import (
    MAIL_FOLDER,
    OpenDirectory,
    OpenTally,
    open_bans,
    open_directory,
    open_guard_file,
    open_hasher,
    open_known_pairs,
    open_known_recipients,
    open_road,
    open_slots,
    open_spool,
    open_sts,
)
from ekiden.app.tokens import make_verifier
from ekiden.config.model import Config
from ekiden.delivery.callahead import CallAhead
from ekiden.delivery.dispatch import Delivery
from ekiden.delivery.road import Credentials
from ekiden.delivery.routing import Routing
from ekiden.delivery.sts import StsPolicies
from ekiden.delivery.tools import Tools
from ekiden.model.door import DOORS, Door
from ekiden.model.events import ClaimsFreed, StsFailed
from ekiden.model.ids import IdSequence
from ekiden.model.reply import Reply
from ekiden.net.balance import Balance
from ekiden.net.certificates import Pair, TlsFailed, parse_certificate
from ekiden.net.connector import SocketConnector
from ekiden.net.faults import report_fault
from ekiden.net.listener import Doors, DoorService
from ekiden.net.resolver import DnsResolver
from ekiden.net.sts_fetch import HttpsPolicyFetcher
from ekiden.net.tls import door_side
from ekiden.net.wire import TlsSide
from ekiden.policy.addresses import may_connect
from ekiden.policy.crowding import exempt, room_of, unbannable
from ekiden.policy.descriptors import outbound_connections
from ekiden.policy.networks import NetworkSet
from ekiden.policy.next_hop import NextHops
from ekiden.ports.bans import BansFailed
from ekiden.ports.counts import Counts
from ekiden.ports.events import EventSink
from ekiden.ports.wire import ServerUser
from ekiden.session.crowd import Crowd
from ekiden.session.doorway import Doorway
from ekiden.session.gate import DoorGate
from ekiden.session.guard_report import GuardReport
from ekiden.session.knocks import KnockBook
from ekiden.session.pop3 import Pop3Session
from ekiden.session.pop3_doorway import Pop3Doorway
from ekiden.session.relay import relay_conversation
from ekiden.session.submission import submission_conversation
from ekiden.spool.brake import Brake, BrakeTools, Overhearing
from ekiden.spool.notices import Notices
from ekiden.spool.window import Window
from ekiden.storage.maildir.store import MaildirMailboxes

#: What a client beyond `limits.sessions` hears (RFC 5321 §3.8; RFC 3206 for POP3).
_SMTP_FULL: Final = Reply(421, "4.3.2", "Too many connections, please try again later").wire
_POP3_FULL: Final = b"-ERR [SYS/TEMP] Too many connections, please try again later\r\n"


class _Rules(NamedTuple):
    """What one configuration makes of a worker."""

    config: Config
    secrets: dict[str, Credentials]
    resolver: DnsResolver
    lists: FileRecipientLists
    desk: CallersDesk
    services: dict[Door, DoorService]


class Works:
    """A worker's whole object graph. On one event loop."""

    def __init__(
        self,
        config: Config,
        pairs: tuple[Pair, ...],
        events: EventSink,
        bell: WorkerBell,
        tally: OpenTally,
        balance: Balance | None = None,
        counts: Counts | None = None,
    ) -> None:
        """Opens the stores; `bell` and `tally` are closed with us. `counts`: for what no event tells each time.
        Raises StoreRefused, StartRefused."""
        loop = asyncio.get_running_loop()
        self.clock = SystemClock()
        self.random = SystemRandom()
        self.events: EventSink = events
        self.bell = bell
        self.tally = tally
        self.guards = GuardReport(tally, events, counts)
        self._tasks: set[asyncio.Task[None]] = set()
        self.directory: OpenDirectory = open_directory(config)
        self.spool = open_spool(config, self.clock)
        self.slots = open_slots(config)
        self.ids = IdSequence(self.spool.incarnation)
        self.mailboxes = MaildirMailboxes(Path(config.data_dir, MAIL_FOLDER), self.clock)
        self.hasher = open_hasher()
        self.known_pairs = open_known_pairs(config, self.clock)
        self.known_recipients = open_known_recipients(config, self.clock)
        self.ban_store = open_bans(config)
        self.bans = BanBook(self.ban_store, tally, self.known_pairs, self.clock, events)
        self._bans_fault = ""
        self.bans.refresh()
        self.connector = SocketConnector(loop, self.clock, self.random, events)
        self.window = Window(config.delivery.window_letters, config.delivery.window_octets)
        self.guard_file = open_guard_file(config)
        self.notices = Notices(self.spool, self.guard_file, self.clock, events, self.window.nudge)
        self.notices.configure(config)
        tools = BrakeTools(self.guard_file, self.spool, self.notices, self.clock, events)
        self.brake = Brake(tools, self.spawn)
        self.brake.configure(config)
        self.events = Overhearing(events, self.brake)
        self.quotas = Quotas(self.mailboxes.usage, self.clock, events, self.notices.tell)
        self.quotas.configure(config.domain)
        self.knocks = KnockBook(self.clock, events, counts)
        self.doors = Doors(loop, self.clock, self.random, events, balance)
        rules = self._make_rules(config, pairs, None)
        self._rules = rules
        self._resolver = CurrentResolver(rules.resolver)
        self.sts_memory = open_sts(config)
        self.sts_fetcher = HttpsPolicyFetcher(self._resolver)
        self._configure_sts(config)
        self.delivery = Delivery(self._tools(), config, rules.secrets)
        self.directory.on_change(self._accounts_changed)

    def _tools(self) -> Tools:
        return Tools(
            spool=self.spool,
            window=self.window,
            resolver=self._resolver,
            connector=self.connector,
            directory=self.directory,
            mailboxes=self.mailboxes,
            events=self.events,
            clock=self.clock,
            random=self.random,
            ids=self.ids,
            slots=self.slots,
            wakeup=self.bell,
            sts=StsPolicies(self._resolver, self.sts_fetcher, self.sts_memory, self.clock, self._sts_failed),
            road=open_road(self.config),
            notices=self.notices,
            workers=self.config.workers or os.cpu_count() or 1,
            quotas=self.quotas,
            connections=outbound_connections(_descriptors(), self.config.limits.sessions),
        )

    @property
    def config(self) -> Config:
        return self._rules.config

    # ---- life

    async def start(self) -> None:
        """Frees what dead workers held, and begins to deliver."""
        self.tally.start()
        self._rules.desk.start()
        await self._free_dead_claims()
        await self.delivery.prepare()
        await self.brake.prepare()
        self.delivery.start()

    def tick(self, now: float) -> None:
        """Once a second. `now`: monotonic."""
        self.doors.cut_slow(now)
        self.delivery.tick(now)
        self.brake.tick(now)

    async def open_doors(self, sockets: Mapping[Door, Sequence[socket.socket]]) -> None:
        await self.doors.open(sockets, self._rules.services)

    async def reload(self, config: Config, pairs: tuple[Pair, ...]) -> None:
        """Rule 1. Raises StartRefused."""
        rules = self._make_rules(config, pairs, self._rules.lists)
        old = self._rules
        self._rules = rules
        self._resolver.resolver = rules.resolver
        self._configure_sts(config)
        self.directory.configure(postmaster=config.postmaster, domains=[domain.name for domain in config.domain])
        self.quotas.configure(config.domain)
        self.delivery.reconfigure(config, rules.secrets)
        self.notices.configure(config)
        self.brake.configure(config)
        self.doors.replace(rules.services)
        rules.desk.start()
        await old.desk.close()
        await old.resolver.close()

    def take_certificates(self, pairs: tuple[Pair, ...]) -> None:
        """Renewed ones, for connections that come from now on. The supervisor has checked them. Raises StartRefused."""
        tls = _door_side(pairs)
        services = {door: service._replace(tls=tls) for door, service in self._rules.services.items()}
        self._rules = self._rules._replace(services=services)
        self.doors.replace(services)

    async def free_dead_claims(self) -> None:
        """After a worker died: what it held is tried again, by whoever claims it first; its slots are free, too."""
        await self._free_dead_claims()
        self.delivery.heard_ring()

    async def _free_dead_claims(self) -> None:
        if legs := await self.spool.free_dead_claims():
            self.events.emit(ClaimsFreed(legs=legs))

    async def drain(self, within: float) -> None:
        """Accepts nothing new; waits for transactions and attempts under way, `within` seconds at most."""
        self.doors.drain()
        await asyncio.gather(self._sessions_end(within), self.delivery.drain(within))

    async def close(self) -> None:
        """What is left is cut off; what was acknowledged is in the store."""
        self.doors.close()
        await self.delivery.aclose()
        await self.brake.aclose()
        self.connector.close()
        self.slots.close()
        self.tally.close()
        self.bell.close()
        await self._rules.desk.close()
        await self._rules.resolver.close()
        await self.mailboxes.close()
        await self.spool.close()
        self.directory.close()
        self.hasher.close()
        self.known_pairs.close()
        self.known_recipients.close()
        self.ban_store.close()
        self.sts_memory.close()
        self.guard_file.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sessions_end(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self.doors.wires.empty()
        except TimeoutError:
            self.doors.close()

    # ---- what comes along

    def spawn(self, work: Coroutine[Any, Any, None], where: str) -> None:
        """A task whose error is reported."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, where))

    def report(self, where: str, error: BaseException) -> None:
        report_fault(self.events, self.random, where, error)

    def _ended(self, where: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(where, error)

    def refresh_bans(self) -> None:
        """Four times a second. A store that cannot be read is told once; who was banned is banned on."""
        try:
            changed = self.bans.refresh()
        except BansFailed as error:
            if str(error) != self._bans_fault:
                self.report("bans", error)
            self._bans_fault = str(error)
            return
        self._bans_fault = ""
        if changed:
            self.doors.bans_changed()

    def _accounts_changed(self) -> None:
        self.spawn(self.doors.accounts_changed(), "sessions after a change of accounts")

    def _configure_sts(self, config: Config) -> None:
        allowed = NetworkSet(config.delivery.allow_addresses)
        self.sts_fetcher.configure(partial(may_connect, allowed=allowed), config.delivery.mta_sts_port)

    def _sts_failed(self, domain: str, reason: str) -> None:
        self.events.emit(StsFailed(domain=domain, reason=reason))

    # ---- rules

    def _make_rules(self, config: Config, pairs: tuple[Pair, ...], lists: FileRecipientLists | None) -> _Rules:
        """Raises StartRefused; changes nothing."""
        secrets = read_secrets(config)
        tls = _door_side(pairs)
        resolver = DnsResolver(config.dns.nameservers, within=config.dns.timeout, clock=self.clock)
        fresh = FileRecipientLists(config, self._list_failed, lists)
        routing = Routing(config, secrets, resolver, self.random)
        probe = CallAhead(NextHops(config), routing, self.connector, self.clock, config.hostname)
        neighbourhood = read_neighbourhood()
        shared = exempt(config, neighbourhood)
        authenticator = GuardedAuthenticator(
            GuessGuard(
                self.tally,
                self.guards,
                config.limits,
                shared,
                self.bans,
                unbannable(config, neighbourhood),
                asyncio.sleep,
            ),
            self.directory,
            self.hasher,
            self.clock,
            self.random,
            self.known_pairs,
            [domain.name for domain in config.domain],
            max_age_days=config.passwords.max_age_days,
            tokens=make_verifier(config.oauth, self.clock, self.events),
        )
        desk = CallersDesk(config, self.clock, self.tally, self.events)
        crowd = Crowd(self.tally, self.guards, config.limits, shared)
        gates = {door: DoorGate(door, config.doors.of(door), self.knocks, crowd, self.bans) for door in Door}
        services = {
            door: DoorService(
                self._users(door, config, authenticator, fresh, probe, tls, gates[door], desk),
                _SMTP_FULL if DOORS[door].speaks == "SMTP" else _POP3_FULL,
                tls,
                room_of(door, config.limits.sessions),
                gates[door],
            )
            for door in Door
        }
        return _Rules(config, secrets, resolver, fresh, desk, services)

    def _users(
        self,
        door: Door,
        config: Config,
        authenticator: Authenticator,
        lists: FileRecipientLists,
        probe: CallAhead,
        tls: TlsSide | None,
        gate: DoorGate,
        desk: CallersDesk,
    ) -> Callable[[], ServerUser]:
        """What makes a session of that door."""
        if DOORS[door].speaks == "POP3":
            return partial(Pop3Session, self._pop3_doorway(door, config, authenticator, tls, gate))
        doorway = Doorway(
            door=door,
            config=config,
            clock=self.clock,
            random=self.random,
            ids=self.ids,
            events=self.events,
            spool=self.spool,
            window=self.window,
            directory=self.directory,
            authenticator=authenticator,
            lists=lists,
            probe=probe,
            tally=self.tally,
            guards=self.guards,
            known_recipients=self.known_recipients,
            quotas=self.quotas,
            tls=tls is not None,
            mechanisms=authenticator.mechanisms,
            callers=None if DOORS[door].login else desk.callers,
            gateways=read_neighbourhood().gateways,
            shared=exempt(config, read_neighbourhood()),
            pause=asyncio.sleep,
            gate=gate,
            brakes=self.brake,
        )
        return partial(submission_conversation if DOORS[door].login else relay_conversation, doorway)

    def _pop3_doorway(
        self, door: Door, config: Config, authenticator: Authenticator, tls: TlsSide | None, gate: DoorGate
    ) -> Pop3Doorway:
        return Pop3Doorway(
            door=door,
            hostname=config.hostname,
            clock=self.clock,
            ids=self.ids,
            events=self.events,
            mailboxes=self.mailboxes,
            authenticator=authenticator,
            tls=tls is not None,
            mechanisms=authenticator.mechanisms,
            error_limit=config.limits.errors,
            gate=gate,
        )

    def _list_failed(self, path: str, text: str) -> None:
        self.report(f"recipients list {path}", OSError(text))


def _door_side(pairs: tuple[Pair, ...]) -> TlsSide | None:
    """Raises StartRefused."""
    if not pairs:
        return None
    try:
        return door_side([parse_certificate(pair) for pair in pairs])
    except TlsFailed as error:
        raise StartRefused(f"tls.{error.key}: {error}") from None


def _descriptors() -> int:
    """Of this process; no limit is a large one."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
