"""Rehearsals: a session of ours played through without a connection, and nothing comes of it.

    stage = Stage(config, directory=..., lists=..., probe=..., gateways=...)
    play = stage.enter(Door.RELAY, client="192.0.2.1", local="192.0.2.25")
    reply = await play.say(b"EHLO client.test\r\n")
    stage.taken                                       # letters that would have been in the queue

The conversation, the session, the protocol machine and the policies are those of a running server; only what surrounds
them is not: the wire is a list, and the spool takes nothing (`TakesNothing`).

Rules
1. Nothing is sent, stored or told; a TLS handshake is taken for done.
2. One command is said at a time, and its reply waited for: `WAIT` seconds at most.

Called by `app.self_attack` and `app.explaining`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

import msgspec

from ekiden.accounts.login import Authenticator
from ekiden.accounts.result import LoginReason, LoginResult
from ekiden.app.clock import SystemClock, SystemRandom
from ekiden.config.model import Config
from ekiden.model.door import DOORS, Door
from ekiden.model.envelope import Envelope, NewLeg
from ekiden.model.events import Event, InternalFault
from ekiden.model.ids import IdSequence
from ekiden.ports.directory import Directory
from ekiden.ports.recipients import RecipientLists, RecipientProbe
from ekiden.ports.spool import Claim, Draft
from ekiden.ports.wire import Endpoint, TlsFacts
from ekiden.session.conversation import Conversation, SessionFactory
from ekiden.session.doorway import Doorway
from ekiden.session.guard_report import GuardReport
from ekiden.session.relay import RelaySession
from ekiden.session.submission import SubmissionSession
from ekiden.spool.window import Window
from ekiden.storage.memory.spool import MemorySpool
from ekiden.storage.memory.tally import MemoryTally

#: What a fact may take that is not in memory.
WAIT: Final = 10.0
#: A handshake that nobody made.
REHEARSED_TLS: Final = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class NoAnswer(Exception):
    """A session said nothing to a command, or met a fault: ours in any case, and nothing was found out."""


class TakesNothing(MemorySpool):
    """What a session gives to it is kept for whoever asks, and is never a letter. `taken`: envelope and legs."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.taken: list[tuple[Envelope, Sequence[NewLeg]]] = []

    def accept(
        self, draft: Draft, envelope: Envelope, legs: Sequence[NewLeg], *, claim: bool
    ) -> Awaitable[list[Claim]]:
        draft.discard()
        self.taken.append((envelope, legs))
        done: asyncio.Future[list[Claim]] = asyncio.get_running_loop().create_future()
        done.set_result([])
        return done


class _NoHashes:
    async def hash(self, password: str) -> str:
        return ""

    async def verify(self, encoded: str, password: str, *, known: bool = True) -> bool:
        return False

    async def verify_nobody(self, password: str, *, known: bool = True) -> bool:
        return False


class _NoPairs:
    secret = bytes(32)

    async def knows(self, account: str, network: str) -> bool:
        return False

    def succeeded(self, account: str, network: str) -> None:
        """Nobody has logged in."""


class Believing(Authenticator):
    """Lets in whoever has an account that is enabled, whatever the password: who rehearses has none to show. Writes
    nothing."""

    def __init__(self, directory: Directory, domains: Sequence[str] = ()) -> None:
        super().__init__(directory, _NoHashes(), SystemClock(), SystemRandom(), _NoPairs(), domains)
        self._accounts = directory

    async def check(self, login: str, password: str, **_: object) -> LoginResult:
        name = self.account_name(login)
        account = await self._accounts.account(name) if name else None
        if account is None:
            return LoginResult(None, LoginReason.UNKNOWN_USER, name)
        if not account.enabled:
            return LoginResult(None, LoginReason.DISABLED, name)
        return LoginResult(account, LoginReason.OK, account.name)


class HeardEvents:
    """An EventSink that tells nobody. `faults`: what went wrong inside us."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, InternalFault):
            self.faults.append(f"{event.where}: {event.error}")


class ListWire:
    """`ports.wire.Wire` without a connection."""

    def __init__(self, peer: Endpoint, local: Endpoint, tls: TlsFacts | None) -> None:
        self.peer = peer
        self.local = local
        self.tls = tls
        self.is_closing = False
        self.shakes_hands = False
        self._written: list[bytes] = []
        self._spoke = asyncio.Event()

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._spoke.set()

    def pause(self) -> None:
        """What is said next comes when it is said."""

    def resume(self) -> None:
        """As `pause`."""

    def start_tls(self) -> None:
        self.shakes_hands = True

    def close(self) -> None:
        self.is_closing = True
        self._spoke.set()

    def abort(self) -> None:
        self.close()

    async def heard(self) -> bytes:
        """What was written since it was asked last; waits for it. Raises NoAnswer."""
        if not self._spoke.is_set():
            try:
                await asyncio.wait_for(self._spoke.wait(), WAIT)
            except TimeoutError:
                raise NoAnswer("a session gave no answer") from None
        self._spoke.clear()
        written, self._written = b"".join(self._written), []
        return written


class Play:
    """One connection. `greeting`: what the door said first."""

    def __init__(self, conversation: Conversation, wire: ListWire, heard: HeardEvents) -> None:
        self._conversation = conversation
        self._heard = heard
        self._wire = wire
        self.greeting = ""

    @property
    def is_over(self) -> bool:
        return self._wire.is_closing

    async def begin(self) -> str:
        self._conversation.connected(self._wire)
        self.greeting = _text(await self._wire.heard())
        return self.greeting

    async def say(self, octets: bytes) -> str:
        """The reply, lines joined by newlines; '' when the session has closed. Raises NoAnswer."""
        if self.is_over:
            return ""
        self._conversation.received(octets)
        reply = await self._wire.heard()
        if self._heard.faults:
            raise NoAnswer(self._heard.faults[0])
        return _text(reply)

    async def start_tls(self) -> str:
        reply = await self.say(b"STARTTLS\r\n")
        if self._wire.shakes_hands:
            self._wire.shakes_hands = False
            self._wire.tls = REHEARSED_TLS
            self._conversation.tls_started()
        return reply

    def end(self) -> None:
        self._conversation.lost(None)


class Stage:
    """The surroundings of plays with one configuration. `tls`: there is a certificate. `sessions`: what makes the
    session of the relay door, and of the doors for people."""

    def __init__(
        self,
        config: Config,
        *,
        directory: Directory,
        authenticator: Authenticator,
        lists: RecipientLists,
        probe: RecipientProbe,
        gateways: frozenset[str],
        sessions: tuple[SessionFactory, SessionFactory] = (RelaySession, SubmissionSession),
    ) -> None:
        clock = SystemClock()
        tally = MemoryTally(clock)
        # who is sent away for talking much learns nothing of what the rules would have said
        config = msgspec.structs.replace(
            config, limits=msgspec.structs.replace(config.limits, commands=0, unknown_recipients=0)
        )
        self.spool = TakesNothing(clock)
        self.events = HeardEvents()
        self._sessions = sessions
        self.doorways = {
            door: Doorway(
                door=door,
                config=config,
                clock=clock,
                random=SystemRandom(),
                ids=IdSequence(0),
                events=self.events,
                spool=self.spool,
                window=Window(1, 1),
                directory=directory,
                authenticator=authenticator,
                lists=lists,
                probe=probe,
                tally=tally,
                guards=GuardReport(tally, self.events),
                tls=bool(config.tls.certificate),
                gateways=gateways,
            )
            for door in Door
            if DOORS[door].speaks == "SMTP"
        }

    async def enter(self, door: Door, *, client: str, local: str, tls: bool | None = None) -> Play:
        """A new connection, greeted. `tls` None: as the door begins."""
        active = DOORS[door].implicit_tls if tls is None else tls
        factory = self._sessions[DOORS[door].login]
        wire = ListWire(Endpoint(client, 40_000), Endpoint(local, DOORS[door].port), REHEARSED_TLS if active else None)
        play = Play(Conversation(self.doorways[door], factory), wire, self.events)
        await play.begin()
        return play


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
