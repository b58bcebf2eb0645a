"""The brake at work: a worker gathers what accounts do, and holds the letters of one whose password seems stolen.

Rules
1. A letter costs one step of a dict when it is accepted, and one when it is asked whether it is held: what was seen is
   gathered and written each `WRITE_SECONDS`, for all accounts in one transaction; sooner when an account sends much at
   once (`SOONER`), so that a flood is stopped after seconds.
2. Workers add to the same habits and judge what all of them saw; whoever sets the brake tells people. The others hear
   of it within `HEARD_SECONDS`; what they took in between, and what still waits of the last hour, is held, too.
3. Letters are still accepted (250), and reading goes on: a thief is not told that he was found, and the owner loses
   nothing.
4. What could not be told (a crash, a full disk) is told later, by whichever worker looks first.
5. A store that fails brakes nobody anew, and nobody less: what was decided stays in memory.

Made by the composition root; `policy.brake` decides, `admin.brakes` lifts. Grade B.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from ekiden.config.model import Config
from ekiden.model.envelope import LegState
from ekiden.model.events import (
    AttemptFinished,
    BrakeSet,
    Event,
    LetterAccepted,
    LoginSucceeded,
    RecipientRefused,
)
from ekiden.model.habits import Habits, Sighting
from ekiden.model.mailbox import Mailbox
from ekiden.model.outcome import OutcomeKind
from ekiden.policy.brake import Judgement, judge, learn, new_habits, set_brake
from ekiden.policy.login_network import login_network
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.habit_book import HabitBook, HabitsFailed
from ekiden.ports.spool import Selection, Spool, SpoolFailed, Steer
from ekiden.spool import brake_text
from ekiden.spool.notices import DAY, Notices

#: How long what was seen is gathered.
WRITE_SECONDS: Final = 3.0
#: Recipients of one account that do not wait for that.
SOONER: Final = 20
#: How often a worker asks what others decided.
HEARD_SECONDS: Final = 1.0
#: Accounts that are gathered at once; more are written at once.
GATHERED: Final = 4096
#: Letters that wait are held, too, if they came so long before the brake was set.
HELD_BEFORE: Final = 3600.0
#: How long whoever set a brake has to tell it, before others do (rule 4).
UNTOLD_AFTER: Final = 30.0
#: How the `hold_reason` of what the brake holds begins.
HOLD: Final = "brake: "

#: What people are told, by kind.
NOTICES: Final = ("brake", "brake-owner")
#: Rules by which a recipient does not exist here (`policy.relay`).
UNKNOWN_RULES: Final = frozenset({"own-domain-unknown", "own-domain-unlisted", "own-domain-callahead"})

Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class BrakeTools(NamedTuple):
    book: HabitBook
    spool: Spool
    notices: Notices
    clock: Clock
    events: EventSink


class Brake:
    """`ports.brake.Brakes`. `tick` once a second, on the loop. `spawn`: runs what waits, and reports its errors."""

    def __init__(self, tools: BrakeTools, spawn: Spawn) -> None:
        self._book, self._spool, self._notices, self._clock, self._events = tools
        self._spawn = spawn
        self._seen: dict[str, Sighting] = {}
        self._held: dict[str, str] = {}
        self._busy = False
        self._written = self._heard = float("-inf")

    def configure(self, config: Config) -> None:
        """Before the first letter, and at every reload."""
        self._config = config.brake
        self._exempt = frozenset(_key(address) for address in config.brake.exempt)

    # -- what sessions ask -------------------------------------------------------------------------------------------

    def why_held(self, account: str) -> str:
        return self._held.get(account, "") if self._held else ""

    # -- what is seen ------------------------------------------------------------------------------------------------

    def letter(self, account: str, client: str, recipients: int, first_time: int) -> None:
        """It was accepted."""
        seen = self._of(account)
        seen.letters += 1
        seen.recipients += recipients
        network = login_network(client)
        if network:
            seen.networks[network] = seen.networks.get(network, 0) + first_time
        if seen.recipients >= SOONER and not self._busy:
            self._write()

    def login(self, account: str, client: str) -> None:
        network = login_network(client)
        if network:
            self._of(account).networks.setdefault(network, 0)

    def failed(self, account: str, recipients: int) -> None:
        """So many do not exist: refused at the door, or by the next hop."""
        self._of(account).failed += recipients

    def _of(self, account: str) -> Sighting:
        seen = self._seen.get(account)
        if seen is None:
            if len(self._seen) >= GATHERED and not self._busy:
                self._write()
            seen = self._seen[account] = Sighting()
        return seen

    # -- each second -------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """`now`: monotonic."""
        if self._busy:
            return
        if self._seen and now - self._written >= WRITE_SECONDS:
            self._write()
        elif now - self._heard >= HEARD_SECONDS:
            self._busy, self._heard = True, now
            self._spawn(self._hear(), "brake.hear")

    def _write(self) -> None:
        self._busy, self._written = True, self._clock.monotonic()
        seen, self._seen = self._seen, {}
        self._spawn(self.learn(seen), "brake.learn")

    async def prepare(self) -> None:
        """Before the doors open: who is braked already."""
        await self._hear()

    async def aclose(self) -> None:
        """Writes what was seen last. `tick` must not be called any more."""
        seen, self._seen = self._seen, {}
        await self.learn(seen)

    async def learn(self, seen: dict[str, Sighting]) -> None:
        now = self._clock.now()
        changes = {account: _Change(sighting, now, self._config.new_accounts) for account, sighting in seen.items()}
        try:
            await self._book.change(changes, now)
            for account, change in changes.items():
                if change.judgement.hold and self._acts_on(account):
                    await self._set(account, change.judgement, now)
            await self._listen()
        except HabitsFailed:  # rule 5; a few seconds of habits are lost
            return
        finally:
            self._busy = False

    def _acts_on(self, account: str) -> bool:
        return self._config.enabled and account not in self._exempt

    async def _set(self, account: str, judgement: Judgement, now: float) -> None:
        """Whoever comes second finds the brake on, and does nothing."""
        mine: list[bool] = []

        def change(habits: Habits | None) -> Habits | None:
            mine.clear()
            if habits is None or habits.braked:
                return None
            mine.append(True)
            set_brake(habits, judgement.reason, now)
            return habits

        await self._book.change({account: change}, now)
        if mine:
            self._held[account] = HOLD + judgement.reason
            signals = [signal.name for signal in judgement.signals]
            self._events.emit(BrakeSet(account=account, reason=judgement.reason, signals=signals))
            self._spawn(self._act(account, judgement.reason, now), "brake.set")

    async def _act(self, account: str, reason: str, since: float) -> None:
        await self._hold_waiting(account, reason, since)
        await self._tell(account, reason)

    async def _hear(self) -> None:
        try:
            await self._listen()
        except HabitsFailed:  # rule 5
            return
        finally:
            self._busy = False

    async def _listen(self) -> None:
        """What all workers decided. Raises HabitsFailed."""
        braked = await self._book.braked()
        now = self._clock.now()
        for account in self._held.keys() - braked.keys():
            del self._held[account]
        for account, brake in braked.items():
            if account not in self._held and now - brake.since < HELD_BEFORE:
                self._spawn(self._hold_waiting(account, brake.reason, brake.since), "brake.heard")
            self._held[account] = HOLD + brake.reason
            if not brake.told and now - brake.since >= UNTOLD_AFTER:  # rule 4
                self._spawn(self._tell(account, brake.reason), "brake.tell")

    async def _hold_waiting(self, account: str, reason: str, since: float) -> None:
        """Rule 2. What is being tried right now goes; what is delayed then is held when somebody asks again."""
        selection = Selection(account=account, state=LegState.WAITING, arrived_after=since - HELD_BEFORE)
        try:
            await self._spool.apply(selection, Steer.HOLD, now=self._clock.now(), reason=HOLD + reason)
        except SpoolFailed:
            return  # the store has its own complaints

    async def _tell(self, account: str, reason: str) -> None:
        for notice in (brake_text.to_postmaster(account, reason), brake_text.to_owner(account)):
            try:
                await self._notices.tell(notice, every=DAY)
            except SpoolFailed:  # rule 4
                return
        try:
            await self._book.change({account: _noted}, self._clock.now())
        except HabitsFailed:
            return


class Overhearing:
    """An EventSink before another one: the brake hears there what accounts do. An event that is not about an account
    costs one step of a dict."""

    def __init__(self, sink: EventSink, brake: Brake) -> None:
        self._sink = sink
        self._brake = brake
        self._heard: dict[type[Event], Callable[[Any], None]] = {
            LetterAccepted: self._letter,
            AttemptFinished: self._attempt,
            LoginSucceeded: self._login,
            RecipientRefused: self._refused,
        }

    def emit(self, event: Event) -> None:
        hear = self._heard.get(type(event))
        if hear is not None:
            hear(event)
        self._sink.emit(event)

    def _letter(self, event: LetterAccepted) -> None:
        if event.account:
            self._brake.letter(event.account, event.client, event.recipient_count, event.first_time)

    def _attempt(self, event: AttemptFinished) -> None:
        if event.account and (failed := event.outcomes.get(OutcomeKind.FAILED)):
            self._brake.failed(event.account, failed)

    def _login(self, event: LoginSucceeded) -> None:
        self._brake.login(event.account, event.client)

    def _refused(self, event: RecipientRefused) -> None:
        if event.account and event.rule in UNKNOWN_RULES:
            self._brake.failed(event.account, 1)


class _Change:
    """For one account, within the book's transaction. `judgement`: what it came to."""

    __slots__ = ("_limit", "_now", "_seen", "judgement")

    def __init__(self, seen: Sighting, now: float, limit: int) -> None:
        self._seen = seen
        self._now = now
        self._limit = limit
        self.judgement = Judgement(hold=False, signals=())

    def __call__(self, habits: Habits | None) -> Habits | None:
        made = new_habits(self._now) if habits is None else habits
        if made.braked:
            return None
        learn(made, self._seen, self._now)
        self.judgement = judge(made, self._now, new_accounts=self._limit)
        return made


def _key(address: str) -> str:
    """An address as an account is named."""
    local_part, _, domain = address.rpartition("@")
    return Mailbox(local_part, domain).key


def _noted(habits: Habits | None) -> Habits | None:
    if habits is None or not habits.braked:
        return None
    habits.told = True
    return habits
