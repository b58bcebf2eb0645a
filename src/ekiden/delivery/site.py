"""A site: one next hop, what waits for it, and the connections to it.

Rules
1. A connection is kept and reused; the next letter is handed to it synchronously when it is free: no task, timer,
   lock or semaphore a letter (DESIGN §4 rule 8). A task lives only while a connection is being opened.
2. `opening` finds a host that takes the session; when there is none, what waits is delayed with the reason. Only
   where there is no road (NoRoad 5xx) it fails.
3. While other connections work, one that could not be opened delays nothing; the site then opens no more for a while.
   A site that is down is tried anew at most every `PAUSE` seconds; what comes meanwhile waits here.
4. A transaction whose content was not sent completely goes again at once, a few times; else it is unknown: delayed.

Called by `dispatch`; calls `opening` and `SmtpConnection`; hands every decided attempt to `Surroundings.finished`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.budget import Budget
from ekiden.delivery.fairness import FlowQueue
from ekiden.delivery.faults import Faults, Tasks
from ekiden.delivery.line import Line, limits, line_of
from ekiden.delivery.memory import HostMemory
from ekiden.delivery.opening import Opener
from ekiden.delivery.pace import Pace
from ekiden.delivery.routing import NoRoad, Routing
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.outcome import OutcomeKind
from ekiden.model.reply import Reply
from ekiden.ports.clock import Clock
from ekiden.proto.smtp.client_events import Phase, Transaction, TransactionEnded

#: A free connection is kept this long, in seconds: long enough for the next letter of a stream, too short to be a
#: burden on the other side (Postfix: 2 s).
IDLE: Final = 5.0
#: Seconds until a site is tried again when no connection could be opened.
PAUSE: Final = 10.0


class Surroundings(NamedTuple):
    """What all sites of a configuration share. `finished`: an attempt is decided. `unattempted`: attempts that this
    site gives back (draining)."""

    opener: Opener
    routing: Routing
    clock: Clock
    tasks: Tasks
    faults: Faults
    budget: Budget
    memory: HostMemory
    connections: int
    finished: Callable[[Attempt], None]
    unattempted: Callable[[list[Attempt]], None]


class Site:
    """A ConnectionOwner (see `smtp_connection`); one a next-hop key."""

    def __init__(self, key: str, surroundings: Surroundings) -> None:
        self.key = key
        self._around = surroundings
        self._queue = FlowQueue()
        self._lines: dict[SmtpConnection, Line] = {}
        self._free: dict[SmtpConnection, None] = {}  # those that took no letter when they were asked last
        self._opening = 0
        self._in_hand = 0
        self._open_after = 0.0
        self._draining = False
        self.pace = Pace()

    # -- for dispatch ------------------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Attempts waiting or under way."""
        return len(self._queue) + self._in_hand

    def is_idle(self, now: float) -> bool:
        """Nothing here that would be missed. `now`: monotonic."""
        busy = self.held or self._lines or self._opening
        return not busy and self.pace.is_forgotten and now >= self._open_after

    def feed(self, attempt: Attempt) -> None:
        if not self.held:
            self.pace.begin(self._around.clock.monotonic())
        self._queue.put(attempt)
        self._pump()

    def shed(self, keep: int) -> list[Attempt]:
        """Those that wait last, so that `keep` remain here with what is under way; they are no longer this site's."""
        return self._queue.shed(max(keep - self._in_hand, 0))

    def configure(self, surroundings: Surroundings) -> None:
        """For connections opened from now on; those that stand are closed when they are free."""
        self._around = surroundings
        self._open_after = 0.0
        for line in self._lines.values():
            line.most_letters = 0
        self._close_free(idle_before=float("inf"))
        self._pump()

    def tick(self, now: float) -> None:
        """Once a second: closes what is idle, opens what had to wait, and measures the pace."""
        self.pace.tick()
        self._close_free(idle_before=now if self._around.budget.is_contended else now - IDLE)
        self._pump()

    def take_waiting(self) -> list[Attempt]:
        """Those not under way; they are no longer this site's."""
        return self._queue.take_all()

    def drain(self) -> None:
        """Nothing new is begun; free connections close."""
        self._draining = True
        self._close_free(idle_before=float("inf"))

    def abort(self) -> None:
        """Cuts every connection; what was under way comes back through `on_closed`."""
        for connection in list(self._lines):
            connection.abort(Reply(451, "4.3.2", "this server is shutting down"))

    # -- handing out -------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Gives what waits to free connections, the idle ones first; opens more when that is not enough."""
        if not self._queue or self._draining:
            return
        if self._free:
            free = [connection for connection in self._free if connection.can_send]
            free.sort(key=lambda connection: connection.in_flight)
            for connection in free:
                self._fill(connection)
                if not self._queue:
                    return
        while self._opening < len(self._queue) and self._may_open():
            self._opening += 1
            self._around.tasks.spawn(self._open(), "delivery.open")

    def _may_open(self) -> bool:
        around = self._around
        return (
            self._opening + len(self._lines) < around.connections
            and around.clock.monotonic() >= self._open_after
            and around.budget.take(self._pump)
        )

    def _fill(self, connection: SmtpConnection) -> None:
        """Hands letters to a connection while it takes them."""
        line = self._lines[connection]
        if line.feeding:
            return  # `send` decided a letter at once and called back: the loop below goes on
        line.feeding = True
        try:
            while connection.can_send:
                if line.letters >= line.most_letters or self._draining:
                    connection.quit()
                    break
                attempt = self._queue.pop()
                if attempt is None:
                    break
                line.letters += 1
                self._send(connection, line, attempt)
        finally:
            line.feeding = False
        if connection.can_send:
            self._free[connection] = None
        else:
            self._free.pop(connection, None)
        if not connection.in_flight:
            line.idle_since = self._around.clock.monotonic()

    def _send(self, connection: SmtpConnection, line: Line, attempt: Attempt) -> None:
        self._in_hand += 1
        claim = attempt.claim
        envelope = claim.envelope
        if not attempt.started:
            attempt.started = self._around.clock.monotonic()
        attempt.remote = line.host.name or connection.host or str(line.host.where)
        attempt.where = str(line.host)
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
            self._around.unattempted([attempt])
        else:
            attempt.decide_rest(OutcomeKind.DELAYED, 451, "4.3.2", "this server is shutting down")
            self._around.finished(attempt)

    def _close_free(self, *, idle_before: float) -> None:
        for connection, line in list(self._lines.items()):
            if connection.can_send and not connection.in_flight and line.idle_since <= idle_before:
                connection.quit()

    # -- opening -----------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Opens one connection, at the first host that takes it. Ends with it standing, or with what waits delayed."""
        around = self._around
        try:
            road = await around.routing.road(self.key)
            reason = road if isinstance(road, NoRoad) else await around.opener.open(road, self)
        except Exception as error:  # a fault of ours delays, it never loses (invariant 7)
            incident = around.faults.unexpected("delivery.open", error)
            reason = NoRoad(451, "4.3.0", f"internal fault, incident {incident}")
        except BaseException:
            self._opening -= 1
            raise
        self._opening -= 1
        if reason is not None:
            around.budget.give()
            self._unreachable(reason)

    def _unreachable(self, reason: NoRoad) -> None:
        around = self._around
        now = around.clock.monotonic()
        self._open_after = now + PAUSE
        if self._lines or self._opening:
            return  # others work, or may yet; the last of them decides
        kind = OutcomeKind.FAILED if reason.code >= 500 else OutcomeKind.DELAYED
        for attempt in self._queue.take_all():
            attempt.started = attempt.started or now
            attempt.decide_rest(kind, reason.code, reason.status, reason.text)
            around.finished(attempt)

    # -- ConnectionOwner ---------------------------------------------------------------------------------------------

    def on_ready(self, connection: SmtpConnection) -> None:
        line = line_of(connection)
        line.tls = str(connection.tls) if connection.tls is not None else ""
        line.most_letters, line.most_recipients = limits(connection.extensions)
        self._lines[connection] = line
        if not line.opened.done():
            line.opened.set_result(None)
        self._fill(connection)

    def on_free(self, connection: SmtpConnection) -> None:
        if connection in self._lines:
            self._fill(connection)

    def on_transaction_ended(self, connection: SmtpConnection, ended: TransactionEnded) -> None:
        attempt = _attempt(ended.transaction)
        attempt.take_replies(ended.replies, dsn=ended.dsn)
        self._end(attempt)
        line = self._lines.get(connection)
        if line is None:
            return
        if ended.replies[0].code // 100 == 4 and all(reply.status.startswith("4.3.") for reply in ended.replies):
            # RFC 3463 §3.4: its mail system is in trouble; for the next attempt it comes last
            self._around.memory.note_failed(line.host.where, self._around.clock.monotonic())
        if self._queue and connection.can_send:
            self._fill(connection)
        elif not connection.in_flight:
            line.idle_since = self._around.clock.monotonic()
            if self._draining:
                connection.quit()

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        line = line_of(connection)
        if not line.opened.done():
            line.opened.set_result(Reply(reply.code, reply.status, f"{reply.text} (at {phase})"))

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        line = line_of(connection)
        if not line.opened.done():
            line.opened.set_result(reason)
        for transaction in unknown:
            self._take_unknown(transaction, reason)
        self._free.pop(connection, None)
        if self._lines.pop(connection, None) is not None:
            if unknown and not connection.letters:
                # it greets us and hangs up on every letter: as good as down, so the next host's turn comes first
                now = self._around.clock.monotonic()
                self._around.memory.note_failed(line.host.where, now)
                if not self._lines:
                    self._open_after = now + PAUSE
            self._around.budget.give()
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
