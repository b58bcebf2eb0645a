"""Callers: what is known of the servers that call on port 25, and what they are told for it (`policy.callers`).

Rules
1. Asked are strangers alone: no trusted network, no private or loopback address (but `callers.strangers`), no proxy,
   nobody of `callers.exempt`, and never at a door with logins.
2. Who was not seen waits for the greeting (`arrived`). Seen is who brought a letter within 30 days or waited within one
   day: a network full of machines that only knock does not fill the memory for a month.
3. The DNS is asked while the client waits: reverse DNS and all lists at once, `callers.timeout` seconds in all. What it
   says of a client is kept for a minute besides, so that a server with many sessions costs no task.
4. About 10 µs a session for who is known, one task for who is not; nothing a letter, but for a session's first.

Made by the composition root for each configuration; called by `session.conversation` and `session.relay`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ekiden.config.model import Config
from ekiden.model.caller_events import CallerMarked, CallerRefused
from ekiden.model.decision import Decision
from ekiden.model.door import Door
from ekiden.model.ids import render_id
from ekiden.policy.callers import (
    NO_FACTS,
    PREGREETING,
    SPOKE_FIRST,
    CallerFacts,
    JudgedClients,
    Judgement,
    caller_key,
    caller_rules,
    is_confirmed,
    judge_caller,
)
from ekiden.policy.networks import parse_address
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.resolver import NameAnswer, Resolver, Status
from ekiden.ports.tally import Tally
from ekiden.session.blocklists import Blocklists, Word
from ekiden.session.greylist import Greylist

#: Who brought a letter, and who only waited for the greeting, is seen for so many seconds.
SEEN_WITH_LETTER: Final = 30 * 86400.0
SEEN: Final = 86400.0
#: What the DNS said of a client is kept so long without asking the resolver, who keeps it by its TTL.
KEPT: Final = 60.0
MOST_KEPT: Final = 4096
#: Names of an address that are looked at (RFC 7208 §4.6.4 has 10; more than a few are a hosting company's mistake).
MOST_NAMES: Final = 3
#: Of one client an event is told once in so many seconds, of all of them so many a minute.
PAUSE: Final = 600.0
MOST_A_MINUTE: Final = 60


class Callers:
    def __init__(
        self,
        config: Config,
        resolver: Resolver,
        lists: Blocklists,
        tally: Tally,
        clock: Clock,
        events: EventSink,
    ) -> None:
        keys = config.callers
        self.lists = lists
        self._resolver = resolver
        self._tally = tally
        self._clock = clock
        self._events = events
        self._judged = JudgedClients(config)
        self._rules = caller_rules(config)
        self._pause = keys.pause
        self._timeout = keys.timeout
        self._asks = bool(lists.entries) or keys.mark_at > 0
        self._greylist = Greylist(tally, keys.greylist_delay) if keys.greylist else None
        self._known: OrderedDict[str, tuple[float, CallerFacts]] = OrderedDict()
        self._learning: dict[str, asyncio.Task[CallerFacts]] = {}

    # ---- the greeting

    def arrived(self, client: str) -> float:
        """Seconds until the greeting, 0.0: at once. `client` is in no trusted network. The DNS is asked meanwhile."""
        if client not in self._judged:
            return 0.0
        if self.peek(client) is None:
            self.learn(client)
        if not self._pause or self._tally.recall(f"caller:{caller_key(client)}") is not None:
            return 0.0
        return self._pause

    def waited(self, client: str) -> None:
        self._tally.remember(f"caller:{caller_key(client)}", SEEN)

    def brought_letter(self, client: str) -> None:
        self._tally.remember(f"caller:{caller_key(client)}", SEEN_WITH_LETTER)

    def spoke_first(self, session: int, client: str) -> None:
        if self._may_tell(client):
            self._events.emit(
                CallerRefused(
                    session=render_id(session),
                    door=Door.RELAY.value,
                    client=client,
                    rule=PREGREETING,
                    reason="it spoke before the greeting",
                    reply=str(SPOKE_FIRST),
                )
            )

    # ---- what is known

    def judges(self, client: str) -> bool:
        """Rule 1, but for trusted networks."""
        return client in self._judged

    def peek(self, client: str) -> CallerFacts | None:
        """None: `learn` must be asked."""
        if not self._asks:
            return NO_FACTS
        known = self._known.get(client)
        if known is None or known[0] <= self._clock.monotonic():
            return None
        return known[1]

    def learn(self, client: str) -> Awaitable[CallerFacts]:
        """One task for all sessions of a client; it goes on when nobody waits."""
        task = self._learning.get(client)
        if task is None:
            task = self._learning[client] = asyncio.ensure_future(self._learn(client))
            task.add_done_callback(lambda _: self._learning.pop(client, None))
        return asyncio.shield(task)

    async def _learn(self, client: str) -> CallerFacts:
        """Rule 3. Never raises but for cancellation: what the DNS keeps to itself is no fact."""
        entries = self.lists.entries
        tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(self.lists.ask(entry, client)) for entry in entries]
        reverse = asyncio.ensure_future(self._reverse(client))
        _, late = await asyncio.wait([*tasks, reverse], timeout=self._timeout)
        for task in late:
            task.cancel()
        words = [Word(silent=True) if task in late else task.result() for task in tasks]
        facts = NO_FACTS if reverse in late else reverse.result()
        facts = facts._replace(
            listings=tuple(word.listing for word in words if word.listing is not None),
            unsure=any(word.silent and entry.allow for word, entry in zip(words, entries, strict=True)),
        )
        self._known[client] = (self._clock.monotonic() + KEPT, facts)
        self._known.move_to_end(client)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return facts

    async def _reverse(self, client: str) -> CallerFacts:
        """Forward-confirmed reverse DNS."""
        answer: NameAnswer = await self._resolver.reverse(client)
        names, failed = answer.names[:MOST_NAMES], answer.status is Status.FAILED
        plain = parse_address(client)
        for name in names:
            asked = self._resolver.ipv4(name) if plain and plain.version == 4 else self._resolver.addresses(name)
            found = await asked
            if is_confirmed(client, found.addresses):
                return CallerFacts(Status.OK, names, name)
            failed = failed or found.status is Status.FAILED
        return CallerFacts(Status.FAILED if failed else answer.status, names)

    # ---- what they are told

    def judge(self, client: str, helo: str, facts: CallerFacts) -> Judgement:
        return judge_caller(client, helo, facts, self._rules)

    def greylisted(self, client: str, reverse_path: str, forward_path: str, facts: CallerFacts) -> Decision | None:
        """None: greylisting has nothing to say. Who is on a list of good ones is not asked to come again."""
        if self._greylist is None or any(listing.points < 0 for listing in facts.listings):
            return None
        decision = self._greylist.judge(client, reverse_path, forward_path)
        return None if decision.accepted else decision

    def tell(self, session: int, client: str, helo: str, facts: CallerFacts, judgement: Judgement) -> None:
        """The event of a refusal or a mark."""
        decision = judgement.decision
        kind: Callable[..., CallerRefused | CallerMarked] = CallerMarked if decision.accepted else CallerRefused
        if self._may_tell(client):
            self._events.emit(
                kind(
                    session=render_id(session),
                    door=Door.RELAY.value,
                    client=client,
                    rule=decision.rule,
                    reason=decision.reason,
                    points=judgement.points,
                    lists=[str(listing) for listing in facts.listings],
                    signs=list(judgement.signs),
                    name=facts.confirmed,
                    helo=helo,
                    reply=str(decision.reply) if decision.reply is not None else "",
                )
            )

    def _may_tell(self, client: str) -> bool:
        name = f"told:caller:{caller_key(client)}"
        if self._tally.recall(name) is not None:
            return False
        self._tally.remember(name, PAUSE)
        return self._tally.add("told-callers", 60.0) <= MOST_A_MINUTE
