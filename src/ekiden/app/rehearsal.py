"""The stage of rehearsals: doorways like those of a running server, around which nothing is real.

    stage = Stage(config, directory=..., authenticator=..., lists=..., probe=..., gateways=...)
    play = await stage.enter(Door.RELAY, client="192.0.2.1", local="192.0.2.25")
    reply = await play.say(b"EHLO client.test\r\n")
    stage.taken                                       # letters that would have been in the queue

The spool takes nothing (`TakesNothing`), a login needs no password (`Believing`), events reach nobody; the plays are
those of `session.rehearsal`. Called by `app.self_attack` and `app.explaining`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import msgspec

from ekiden.accounts.login import Authenticator
from ekiden.accounts.result import LoginReason, LoginResult
from ekiden.app.clock import SystemClock, SystemRandom
from ekiden.config.model import Config
from ekiden.model.door import DOORS, Door
from ekiden.model.envelope import Envelope, NewLeg
from ekiden.model.ids import IdSequence
from ekiden.ports.directory import Directory
from ekiden.ports.recipients import RecipientLists, RecipientProbe
from ekiden.ports.spool import Claim, Draft
from ekiden.ports.wire import Endpoint
from ekiden.session.conversation import Conversation, SessionFactory
from ekiden.session.doorway import Doorway
from ekiden.session.guard_report import GuardReport
from ekiden.session.rehearsal import REHEARSED_TLS, HeardEvents, ListWire, Play
from ekiden.session.relay import RelaySession
from ekiden.session.submission import SubmissionSession
from ekiden.spool.window import Window
from ekiden.storage.memory.known_recipients import MemoryKnownRecipients
from ekiden.storage.memory.spool import MemorySpool
from ekiden.storage.memory.tally import MemoryTally


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

    async def knows_network(self, network: str) -> bool:
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
                known_recipients=MemoryKnownRecipients(),
                tls=bool(config.tls.certificate),
                gateways=gateways,
            )
            for door in Door
            if DOORS[door].speaks == "SMTP"
        }

    @property
    def taken(self) -> list[tuple[Envelope, Sequence[NewLeg]]]:
        """What the sessions gave to the spool."""
        return self.spool.taken

    async def enter(self, door: Door, *, client: str, local: str, tls: bool | None = None) -> Play:
        """A new connection, greeted. `tls` None: as the door begins."""
        active = DOORS[door].implicit_tls if tls is None else tls
        factory = self._sessions[DOORS[door].login]
        wire = ListWire(Endpoint(client, 40_000), Endpoint(local, DOORS[door].port), REHEARSED_TLS if active else None)
        play = Play(Conversation(self.doorways[door], factory), wire, self.events)
        await play.begin()
        return play
