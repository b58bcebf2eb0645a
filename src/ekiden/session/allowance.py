"""Allowance: what one account, or one address of trusted_networks, may still send, and where to. One a session; counts
are shared by all workers.

Rules
1. A message is counted with its first recipient, a recipient when it is taken: before the content, so two sessions
   never take the same place. A letter that is then refused for its content, or given up, was counted.
2. Over a limit nothing is counted, so who tries again and again waits no longer than who waits.
3. Far from its limit a message costs one step of the tally; near it MAIL asks, too, but for trusted networks: what
   they bring for our own domains any stranger may bring, and is not counted.
4. A recipient that is new counts once in 24 hours, however often it is tried; it is known when a letter to it was
   accepted.

Called by `session.smtp`; `policy.limits` decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from ekiden.model.decision import Decision
from ekiden.model.events import LimitNear, LimitReached
from ekiden.policy.limits import DAY, PERSON, Limit, Limits, over, over_message
from ekiden.policy.restrict import decide_domain
from ekiden.session.doorway import Doorway

#: One event for a limit and who has it, at most so often, in seconds.
_TOLD: float = 600.0


class Allowance:
    """`who`: what is counted. `account`: '' without a login."""

    __slots__ = ("_account", "_client", "_doorway", "_far", "_limits", "_restrictions", "_who")

    def __init__(self, doorway: Doorway, client: str, *, account: str = "", profile: str = "") -> None:
        self._doorway = doorway
        self._client = client
        self._account = account
        self._who = account or client
        self._limits: Limits = doorway.sending_limits.get(profile) or doorway.sending_limits[PERSON]
        name = profile or PERSON
        self._restrictions = tuple(one for one in doorway.restrictions if one.is_for(account, name, client))
        self._far = False

    def may_begin(self) -> Decision | None:
        """At MAIL: the refusal, None if a message may come."""
        return None if self._far or not self._account else self._full(self._limits.messages)

    def counts(self, rule: str) -> bool:
        """`rule`: by which relay control took the recipient."""
        return bool(self._account) or rule == "trusted-network"

    def forbids(self, domain: str) -> Decision | None:
        """The refusal of recipients there (`policy.restrict`). `domain`: a domain key."""
        return decide_domain(self._restrictions, domain) if self._restrictions else None

    def knows(self, recipient: str) -> bool | None:
        """Whether it is no stranger; None: `ask`."""
        if not self._account or not self._limits.first_time:
            return True
        return self._doorway.known_recipients.peek(self._account, recipient)

    def ask(self, recipient: str) -> Awaitable[bool]:
        return self._doorway.known_recipients.knows(self._account, recipient)

    def take(self, recipient: str, taken: int, *, known: bool) -> Decision | None:
        """At RCPT: counts the recipient, or the refusal. `taken`: recipients of this message before it."""
        limits, tally = self._limits, self._doorway.tally
        if limits.recipients_per_message and taken >= limits.recipients_per_message:
            return over_message(limits)
        mark = f"first:{self._account}:{recipient}"
        is_new = not known and tally.recall(mark) is None
        wanted = (*limits.recipients, *(limits.first_time if is_new else ()))
        messages = () if taken else limits.messages
        refusal = self._full(wanted) or (None if self._far else self._full(messages)) or self._count(wanted)
        if refusal is None and messages:
            self._far = True
            refusal = self._count(messages)
        if refusal is None and is_new:
            tally.remember(mark, DAY)
        return refusal

    def learned(self, recipients: Iterable[str]) -> None:
        """A letter to these was accepted."""
        self._doorway.known_recipients.learned(self._account, recipients)

    # --- within -----------------------------------------------------------------------------------------------

    def _name(self, limit: Limit) -> str:
        return f"sent:{limit.key}:{self._who}"

    def _full(self, limits: Iterable[Limit]) -> Decision | None:
        tally = self._doorway.tally
        for limit in limits:
            if tally.count(self._name(limit), limit.window) >= limit.most:
                return self._refuse(limit)
        return None

    def _count(self, limits: Iterable[Limit]) -> Decision | None:
        for limit in limits:
            count = self._doorway.tally.add(self._name(limit), limit.window)
            if count > limit.most:  # another session took the last place since we asked
                return self._refuse(limit)
            if limit.is_near(count):
                self._near(limit, count)
        return None

    def _near(self, limit: Limit, count: int) -> None:
        self._far = False
        if self._may_tell("near", limit):
            self._doorway.events.emit(
                LimitNear(
                    who=self._who,
                    limit=limit.key,
                    profile=limit.profile,
                    count=count,
                    allowed=limit.most,
                    door=self._doorway.door.value,
                    client=self._client,
                    account=self._account,
                )
            )

    def _refuse(self, limit: Limit) -> Decision:
        self._far = False
        doorway = self._doorway
        again = doorway.clock.now() + doorway.tally.wait(self._name(limit), limit.window, limit.most - 1)
        if self._may_tell("reached", limit):
            doorway.events.emit(
                LimitReached(
                    who=self._who,
                    limit=limit.key,
                    profile=limit.profile,
                    allowed=limit.most,
                    again=again,
                    door=doorway.door.value,
                    client=self._client,
                    account=self._account,
                )
            )
        return over(limit, again)

    def _may_tell(self, what: str, limit: Limit) -> bool:
        """Once in the time of the limit."""
        tally, name = self._doorway.tally, f"told:{what}:{limit.key}:{self._who}"
        if tally.recall(name) is not None:
            return False
        tally.remember(name, max(limit.window, _TOLD))
        return True
