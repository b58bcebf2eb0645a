"""A site: one set of MX hosts (or a route's targets), what waits for it, and the connections to it.

Rules
1. A connection is kept and reused, for letters of all domains that lead here; the next letter is handed to it
   synchronously when it is free: no task, timer, lock or semaphore a letter (DESIGN §4 rule 8). A task lives only while
   a connection is being opened, or tokens of a rate are asked for.
2. `berths` opens connections; `policy.concurrency` says how many we want.
3. While other connections work, one that could not be opened delays nothing; the site then opens no more for a while.
   When none works, what waits is delayed with the reason, and the site rests (`barrier`). Where there is no road at all
   (NoRoad 5xx) it fails.
4. A site that is barred (it rests, is suspended, or all its slots are elsewhere) keeps no letters: they go back to the
   store, uncounted. Only one that is probed takes one.
5. A transaction whose content was not sent completely goes again at once, a few times; else it is unknown: delayed.

Called by `dispatch` and `ways`; calls `berths` and `SmtpConnection`; hands every decided attempt to
`Surroundings.finished`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.barrier import CLOSED, Bar, Barrier, NotNow
from ekiden.delivery.berths import Berths
from ekiden.delivery.budget import Standing
from ekiden.delivery.detour_refusal import hold_refused_sender
from ekiden.delivery.fairness import FlowQueue
from ekiden.delivery.families import leave_ipv6
from ekiden.delivery.line import Line, limits, line_of, protection
from ekiden.delivery.pace import Pace
from ekiden.delivery.road import Host, NoRoad
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.delivery.surroundings import Surroundings
from ekiden.delivery.tokens import Tokens
from ekiden.model.outcome import OutcomeKind
from ekiden.model.reply import Reply
from ekiden.policy.concurrency import Concurrency
from ekiden.policy.site_rules import SiteRules
from ekiden.proto.smtp.client_events import Phase, Transaction, TransactionEnded

#: A free connection is kept this long, in seconds: long enough for the next letter of a stream, too short to be a
#: burden on the other side (Postfix: 2 s).
IDLE: Final = 5.0
#: Seconds until another connection is opened when one could not be, or was lost with its first letter.
PAUSE: Final = 10.0
#: Sites of which is remembered that they took a session; beyond it the memory starts anew.
MOST_PROVEN: Final = 50_000
#: What `lack` says where it is no limit of the site.
CROWDED: Final = "all connections that this server can have are in use, by other sites"
SHUTTING_DOWN: Final = "this server is shutting down"


class Site:
    """A BerthOwner (see `berths`, `smtp_connection`). `keys`: next hops that lead here; `key`: the one that did last.
    `told`: what was said of the barrier at last. `budget`: the name of the budget, if others share it."""

    def __init__(
        self,
        road: Sequence[Host],
        key: str,
        rules: SiteRules,
        surroundings: Surroundings,
        name: str,
        budget: str = "",
    ) -> None:
        self.name = name
        self._budget = budget or name
        self.keys: set[str] = set()
        self.told = Bar.NONE
        self.rules = rules
        self.pace = Pace()
        self.barrier = Barrier()
        self.concurrency = Concurrency(surroundings.share(rules.connections))
        self._around = surroundings
        self._queue = FlowQueue()
        self._lines: dict[SmtpConnection, Line] = {}
        # Those that took no letter when they were asked last: with nothing under way, and behind another letter.
        self._idle: dict[SmtpConnection, None] = {}
        self._free: dict[SmtpConnection, None] = {}
        self._berths = Berths(self, self._budget, rules, surroundings, self._pump)
        self._berths.take_road(road, key)
        self._in_hand = 0
        self._busy_at_tick = False
        self._draining = False
        self._tokens: Tokens | None = None
        self._configure_rates()

    # -- for dispatch and ways ---------------------------------------------------------------------------------------

    @property
    def road(self) -> Sequence[Host]:
        return self._berths.road

    @property
    def key(self) -> str:
        return self._berths.key

    @property
    def held(self) -> int:
        """Attempts waiting or under way."""
        return self._queue.length + self._in_hand

    @property
    def is_avoided(self) -> bool:
        """Its letters are not to be claimed."""
        bar = self.barrier.bar
        return bar is not Bar.NONE and (bar is not Bar.PROBED or self.held > 0)

    def lack(self, now: float) -> str:
        """Which limit makes letters wait here, in words; '' if none does. `now`: monotonic."""
        rules, berths = self.rules, self._berths
        if not self._queue.length or self.barrier.bar is not Bar.NONE:
            return ""
        if self._tokens is not None and self._tokens.are_out(now):
            return f"its {rules.letters_per_minute} letters a minute are used up"
        connections = len(self._lines) + berths.opening
        if connections >= int(self.concurrency.allowed):
            return f"connections that it may have now, all in use: {connections}"
        if berths.is_crowded:
            return CROWDED
        if berths.is_short:
            return "all connections that it may have are in use, some of them by other workers"
        if rules.connections_per_minute and now < berths.open_after:
            return f"its {rules.connections_per_minute} connections a minute are used up"
        return ""

    def is_idle(self, now: float) -> bool:
        """Nothing here that would be missed. `now`: monotonic."""
        busy = self.held or self._lines or not self._berths.is_idle(now)
        return not busy and self.pace.is_forgotten and self.barrier.is_forgotten(now)

    def feed(self, attempt: Attempt) -> None:
        if self.barrier.bar is not Bar.NONE and not self._admits(attempt):
            return
        queue = self._queue
        if not (queue.length or self._in_hand):
            self.pace.begin(self._around.clock.monotonic())
        queue.put(attempt)
        if self.barrier.bar is not Bar.NONE:
            self._around.barred(self)  # this one probes; from now on its letters are avoided
        self._pump()

    def take_road(self, road: Sequence[Host], key: str) -> None:
        """A next hop leads here, by these hosts."""
        self._berths.take_road(road, key)

    def shed(self, keep: int) -> list[Attempt]:
        """Those that wait last, so that `keep` remain here with what is under way; they are no longer this site's."""
        return self._queue.shed(max(keep - self._in_hand, 0))

    def configure(self, rules: SiteRules, surroundings: Surroundings) -> None:
        """For connections opened from now on; those that stand are closed when they are free."""
        self._around = surroundings
        self.rules = rules
        self.concurrency.limit(surroundings.share(rules.connections))
        self._configure_rates()
        self._berths.configure(rules, surroundings)
        for line in self._lines.values():
            line.most_letters = 0
        self.close_idle()
        self._pump()

    def tick(self, now: float) -> None:
        """Once a second: closes what is idle, opens what had to wait, measures the pace, and looks at the barrier."""
        self.pace.tick()
        self._judge_speed(now)
        self._close_free(idle_before=now - IDLE)
        if self.barrier.bar is not Bar.NONE:
            self._look_at_barrier(now)
        self._berths.tick(now)
        self._pump()

    def _judge_speed(self, now: float) -> None:
        """What a letter takes: those under way, by those that end in a second. Of a site that was busy all the time."""
        busy, rate = self._in_hand > 0, self.pace.rate
        if busy and self._busy_at_tick and rate and self.concurrency.judge(self._in_hand / rate, now):
            self._close_surplus()
        self._busy_at_tick = busy

    def heard_ring(self) -> None:
        """A slot may have become free elsewhere."""
        if self.barrier.bar is Bar.SLOTS:
            self._berths.seek_slot()
        elif self._berths.heard_ring():
            self._pump()

    def suspend(self, reason: str, bar: Bar = Bar.SUSPENDED) -> None:
        """Nothing more is begun; idempotent. `bar`: SUSPENDED (by a person) or BLOCKED."""
        if self.barrier.bar is not bar:
            self.barrier.suspend(reason, bar)
            self._put_back(self._queue.take_all())
            self.close_idle()
            self._around.barred(self)

    def resume(self) -> None:
        """Nothing suspends it any more; idempotent."""
        if self.barrier.bar in (Bar.SUSPENDED, Bar.BLOCKED):
            self.barrier.resume(self._around.clock.monotonic())
            self._berths.open_after = 0.0
            self._around.barred(self)

    def probe_now(self) -> None:
        """By hand: the rest is over, one letter may try."""
        if self.barrier.bar is Bar.RESTING:
            self.barrier.probe(self._around.clock.monotonic())
            self._berths.open_after = 0.0
            self._around.barred(self)

    def take_waiting(self) -> list[Attempt]:
        """Those not under way; they are no longer this site's."""
        return self._queue.take_all()

    def take_waiting_of(self, key: str) -> list[Attempt]:
        """The same, for one next hop only."""
        waiting = self._queue.take_all()
        for attempt in waiting:
            if attempt.claim.leg.next_hop != key:
                self._queue.put(attempt)
        return [attempt for attempt in waiting if attempt.claim.leg.next_hop == key]

    def take_waiting_if(self, wanted: Callable[[Attempt], bool]) -> list[Attempt]:
        """The same, for those that are `wanted`. Cheap if there are none."""
        return self._queue.take_if(wanted)

    def drain(self) -> None:
        """Nothing new is begun; free connections close."""
        self._draining = True
        self._berths.drain()
        self.close_idle()

    def close_idle(self) -> None:
        """Free connections close."""
        self._close_free(idle_before=float("inf"))

    def abort(self) -> None:
        """Cuts every connection; what was under way comes back through `on_closed`."""
        for connection in list(self._lines):
            connection.abort(Reply(451, CLOSED, SHUTTING_DOWN))

    # -- handing out -------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Gives what waits to free connections, the idle ones first; opens more when that is not enough."""
        queue = self._queue
        if not queue.length or self._draining:
            return
        idle, free = self._idle, self._free
        while idle or free:  # the idle one that was busy last, so that others may close; the first to be idle
            connection = next(reversed(idle)) if idle else next(iter(free))
            self._fill(connection)
            if not queue.length or connection in idle or connection in free:
                return  # all are under way, or it is the rate that they wait for, not a connection
        while self._berths.opening < queue.length and self._open():
            pass

    def _fill(self, connection: SmtpConnection) -> None:
        """Hands letters to a connection while it takes them."""
        line = self._lines[connection]
        if line.feeding:
            return  # `send` decided a letter at once and called back: the loop below goes on
        line.feeding = True
        self._idle.pop(connection, None)
        self._free.pop(connection, None)
        tokens, queue = self._tokens, self._queue
        takes_more = connection.can_send
        try:
            while takes_more:
                if line.letters >= line.most_letters or self._draining:
                    connection.quit()
                    return
                if tokens is not None and queue.length and not tokens.use(queue.length):
                    break
                attempt = queue.pop()
                if attempt is None:
                    break
                line.letters += 1
                self._send(connection, line, attempt)
                takes_more = connection.can_send
        finally:
            line.feeding = False
        if takes_more:
            self._note_free(connection, line)

    def _note_free(self, connection: SmtpConnection, line: Line) -> None:
        """It can send, and nothing waits that it may have."""
        if connection.in_flight:
            self._free[connection] = None
        else:
            self._free.pop(connection, None)
            self._idle[connection] = None
            line.idle_since = self._around.clock.monotonic()

    def _send(self, connection: SmtpConnection, line: Line, attempt: Attempt) -> None:
        self._in_hand += 1
        claim = attempt.claim
        envelope = claim.envelope
        if not attempt.started:
            attempt.started = self._around.clock.monotonic()
        attempt.remote = line.remote
        attempt.where = line.where
        attempt.tls = line.tls
        transaction = Transaction(
            envelope.reverse_path,
            attempt.next_batch(line.most_recipients),
            body=envelope.body,
            smtputf8=envelope.smtputf8,
            ret=envelope.ret,
            envid=envelope.envid,
            priority=claim.leg.priority,
            tag=attempt,
        )
        connection.send(transaction, claim.content)

    def _end(self, attempt: Attempt) -> None:
        """An attempt came back from a connection: decided, or not yet."""
        self._in_hand -= 1
        if attempt.is_decided:
            self.pace.finish()
            self._around.finished(attempt)
        elif not self._draining:
            self._queue.put_back(attempt)
        elif attempt.is_untouched:
            self._around.put_back([attempt], self._around.clock.now(), NotNow(CLOSED, SHUTTING_DOWN))
        else:
            attempt.decide_rest(OutcomeKind.DELAYED, 451, CLOSED, SHUTTING_DOWN)
            self._around.finished(attempt)

    def _close_free(self, *, idle_before: float) -> None:
        for connection, line in list(self._lines.items()):
            if connection.can_send and not connection.in_flight and line.idle_since <= idle_before:
                connection.quit()

    # -- barrier -----------------------------------------------------------------------------------------------------

    def _admits(self, attempt: Attempt) -> bool:
        """A barred site is fed: only a probe is taken."""
        if self.barrier.bar is Bar.PROBED and not self.held:
            return True
        self._put_back([attempt])
        return False

    def _put_back(self, attempts: Sequence[Attempt]) -> None:
        if attempts:
            clock = self._around.clock
            due = clock.now() + self.barrier.seconds_left(clock.monotonic())
            self._around.put_back(attempts, due, self.barrier.not_now)

    def _look_at_barrier(self, now: float) -> None:
        if self.barrier.bar is Bar.SLOTS:
            self._berths.seek_slot()
        elif self.barrier.rest_is_over(now):
            self.barrier.probe(now)
            self._berths.open_after = 0.0
            self._around.barred(self)

    def _rest(self, reason: NoRoad, now: float) -> None:
        """No host took a connection (or each refused the session), and no connection is left."""
        around = self._around
        self.barrier.fail(f"{reason.code} {reason.status} {reason.text}", now, around.random.uniform(-1, 1))
        self.concurrency.begin_anew()
        around.proven.pop(self.name, None)
        around.barred(self)

    def _works(self) -> None:
        """A session was accepted."""
        around = self._around
        if len(around.proven) > MOST_PROVEN:
            around.proven.clear()
        around.proven[self.name] = around.clock.monotonic()
        if self.barrier.works():
            self.concurrency.begin_anew()
            around.barred(self)

    # -- opening -----------------------------------------------------------------------------------------------------

    @property
    def _standing(self) -> Standing:
        if self.barrier.failures:
            return Standing.FAILED
        return Standing.PROVEN if self._lines or self.name in self._around.proven else Standing.FRESH

    def _open(self) -> bool:
        """Begins to open one more, if that is allowed now."""
        most = 1 if self.barrier.bar is Bar.PROBED else int(self.concurrency.allowed)
        return self._berths.opening + len(self._lines) < most and self._berths.begin(self._standing)

    def _trouble(self) -> None:
        """The other side wants less of us."""
        self.concurrency.trouble(self._around.clock.monotonic())
        self._close_surplus()

    def _close_surplus(self) -> None:
        """Connections beyond what is allowed take no more letters."""
        surplus = len(self._lines) - int(self.concurrency.allowed)
        for connection, line in list(self._lines.items())[: max(surplus, 0)]:
            line.most_letters = 0
            if not connection.in_flight:
                connection.quit()

    def _configure_rates(self) -> None:
        rate = self.rules.letters_per_minute
        around = self._around
        self._tokens = None
        if rate:
            self._tokens = Tokens(
                f"letters {self._budget}", rate, around.slots, around.clock, around.tasks, around.faults, self._pump
            )

    # -- BerthOwner --------------------------------------------------------------------------------------------------

    def on_unreachable(self, reason: NoRoad) -> None:
        around, berths = self._around, self._berths
        now = around.clock.monotonic()
        berths.open_after = now + PAUSE
        if self._lines or berths.opening:
            self.concurrency.trouble(now)
            return  # others work, or may yet; the last of them decides
        self._rest(reason, now)
        for attempt in self._queue.take_all():
            attempt.started = attempt.started or now
            attempt.decide_rest(OutcomeKind.DELAYED, reason.code, reason.status, reason.text)
            around.finished(attempt)

    def on_no_slot(self) -> None:
        if self._lines or self._berths.opening or self._draining:
            return
        self.barrier.lacks_slot()
        self._put_back(self._queue.take_all())
        self._around.barred(self)
        self._around.ring()  # who has the slot takes what was given back

    def on_slot_found(self) -> bool:
        if self.barrier.bar is not Bar.SLOTS:
            return False
        self.barrier.found_slot()
        self._around.barred(self)
        return True

    def on_slot_given(self) -> None:
        if len(self._lines) + self._berths.opening + 1 >= self.concurrency.most:
            self._around.ring()  # perhaps another worker had none

    # -- ConnectionOwner ---------------------------------------------------------------------------------------------

    def on_ready(self, connection: SmtpConnection) -> None:
        line = line_of(connection)
        line.tls = protection(connection.tls, line.host)
        line.remote = line.host.name or connection.host or str(line.host.where)
        line.where = str(line.host)
        line.most_letters, line.most_recipients = limits(connection.extensions, self.rules)
        self._lines[connection] = line
        if line.berth.place is not None:
            self._around.budget.opened(line.berth.place)
        self._works()
        if not line.opened.done():
            line.opened.set_result(None)
        self._fill(connection)

    def on_free(self, connection: SmtpConnection) -> None:
        if connection in self._lines:
            self._fill(connection)

    def on_transaction_ended(self, connection: SmtpConnection, ended: TransactionEnded) -> None:
        attempt = _attempt(ended.transaction)
        host = line_of(connection).host
        or_ipv4 = host.or_ipv4
        if host.is_detour:
            hold_refused_sender(attempt, ended, host.name)
        again = leave_ipv6(attempt, ended.replies, connection, self._lines, self._around) if or_ipv4 else ()
        attempt.take_replies(ended.replies, dsn=ended.dsn, again=again)
        self._end(attempt)
        line = self._lines.get(connection)
        if line is None:
            return
        if ended.replies[0].code // 100 == 4:
            self._note_deferral(line, ended.replies)
        elif self.concurrency.allowed < self.concurrency.most:
            self.concurrency.succeed()
        if line.feeding or not connection.can_send:
            return
        if self._queue.length or self._draining:
            self._fill(connection)
        else:
            self._note_free(connection, line)

    def _note_deferral(self, line: Line, replies: Sequence[Reply]) -> None:
        if all(reply.status.startswith("4.3.") for reply in replies):
            # RFC 3463 §3.4: its mail system is in trouble; for the next attempt it comes last
            self._around.memory.note_failed(line.host.where, self._around.clock.monotonic())
        if any(reply.code == 421 or reply.status.startswith("4.7.") for reply in replies):
            self._trouble()

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        # the next host is only tried when this connection has closed: two at once would be more than one slot
        line_of(connection).refusal = Reply(reply.code, reply.status, f"{reply.text} (at {phase})")

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        line = line_of(connection)
        if not line.opened.done():
            line.opened.set_result(line.refusal or reason)
        for transaction in unknown:
            self._take_unknown(transaction, reason)
        self._idle.pop(connection, None)
        self._free.pop(connection, None)
        if self._lines.pop(connection, None) is not None:
            now = self._around.clock.monotonic()
            if unknown or reason.code == 421:
                self.concurrency.trouble(now)
            if unknown and not connection.letters:
                # it greets us and hangs up on every letter: as good as down, so the next host's turn comes first
                self._around.memory.note_failed(line.host.where, now)
                if not self._lines:
                    self._berths.open_after = now + PAUSE
            self._berths.give(line.berth)
            self._pump()

    def _take_unknown(self, transaction: Transaction, reason: Reply) -> None:
        """What is known of it holds (a 550 to one RCPT); the rest goes again, or is delayed."""
        attempt, whole = _attempt(transaction), transaction.content_complete
        attempt.take_known(transaction.replies)
        if whole or not (self._draining or attempt.may_go_again()):
            attempt.take_unknown(reason, whole=whole)
        self._end(attempt)


def _attempt(transaction: Transaction) -> Attempt:
    attempt = transaction.tag
    assert isinstance(attempt, Attempt)
    return attempt
