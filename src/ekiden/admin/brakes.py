"""Use cases around the brake, behind every face.

Rules
1. Lifting comes first, then the letters: workers hear of it within two seconds (`ports.brake`), and what they still
   held in between is sent or bounced, too. A command that dies in between is simply given again.
2. `release`: it was the owner; what happened is usual from now on. `bounce`: it was not; it never happened, and what is
   held goes back to where it says it is from.
3. Only what the brake holds is meant: what a person or a content rule holds stays.

Each change leaves events that say who did it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ekiden.accounts.refusal import Refused
from ekiden.admin.steering import QueueDesk, Taken
from ekiden.model.envelope import LegState
from ekiden.model.events import BrakeLifted
from ekiden.model.habits import Habits
from ekiden.policy.brake import lift_brake
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.habit_book import Braked, HabitBook
from ekiden.ports.notice_book import NoticeBook
from ekiden.ports.spool import Selection
from ekiden.spool.brake import HOLD, NOTICES

#: Rule 1, in seconds.
HEARD_WITHIN: Final = 2.5
#: What the sender of what goes back is told.
NOT_THE_OWNER: Final = "the letter was held, and the postmaster sent it back: somebody else may have sent it"


class Books(NamedTuple):
    habits: HabitBook
    notices: NoticeBook


class BrakeDesk:
    """`by`: who acts. `sleep`: waits so many seconds."""

    def __init__(
        self,
        books: Books,
        queue: QueueDesk,
        clock: Clock,
        sink: EventSink,
        sleep: Callable[[float], Awaitable[None]],
        *,
        by: str,
    ) -> None:
        self._books = books
        self._queue = queue
        self._clock = clock
        self._sink = sink
        self._sleep = sleep
        self._by = by

    async def braked(self) -> dict[str, Braked]:
        """By account. Raises HabitsFailed, as all here."""
        return dict(sorted((await self._books.habits.braked()).items()))

    async def habits(self, account: str) -> Habits | None:
        return await self._books.habits.habits(account)

    async def release(self, account: str) -> int:
        """How many legs go their way. Raises Refused if the brake is off and nothing is held; SpoolFailed."""
        lifted = await self._lift(account, "release")
        legs = await self._queue.release(_held(account))
        if not (lifted or legs):
            raise _nothing(account)
        return legs

    async def bounce(self, account: str) -> Taken:
        """Raises as `release`."""
        lifted = await self._lift(account, "bounce")
        taken = await self._queue.bounce(_held(account), NOT_THE_OWNER)
        if not (lifted or taken.legs):
            raise _nothing(account)
        return taken

    async def _lift(self, account: str, action: str) -> bool:
        now, lifted = self._clock.now(), False

        def lift(habits: Habits | None) -> Habits | None:
            nonlocal lifted
            lifted = habits is not None and lift_brake(habits, now, honest=action == "release")
            return habits if lifted else None

        await self._books.habits.change({account: lift}, now)
        if lifted:
            for kind in NOTICES:  # who is braked again is told again
                await self._books.notices.give_back(kind, account)
            self._sink.emit(BrakeLifted(account=account, action=action, by=self._by))
            await self._sleep(HEARD_WITHIN)
        return lifted


def _held(account: str) -> Selection:
    return Selection(account=account, state=LegState.HELD, hold=HOLD)


def _nothing(account: str) -> Refused:
    return Refused(
        "not-braked", f"the brake of {account} is not on, and it holds nothing; `ekiden brake list` shows whom it holds"
    )
