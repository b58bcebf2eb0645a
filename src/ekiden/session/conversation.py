"""Conversation: one SMTP connection, from the first byte to the last. Feeds the protocol machine and owes its replies.

Rules
1. Everything happens synchronously inside `received`, but for two waits: a letter being made durable, and a fact that
   is not cached (`Pending`). No task a command, no timer a wait; one deadline a session, swept by `tick` (DESIGN §4,
   rules 1 and 2).
2. At most one write for what one `received` brought (DESIGN §4 rule 3).
3. STARTTLS: reading is paused before the 220 is written; afterwards a new session begins that knows nothing (RFC
   3207 §4.2).
4. What goes wrong inside us is answered 451 with an incident id (invariant 7); the stack goes to the log under the same
   id.
5. The deadline moves when something was answered, or with every 4 KiB of content: an octet now and then is no progress
   and holds no session open.
6. A stranger at the relay door may have to wait for the greeting (`session.callers`); who speaks before it is turned
   away. `tick` ends the wait: no timer.

`net` calls it through `ports.wire.ServerUser`; dialog tests call it with a wire made of lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

from ekiden.model.events import SessionClosed
from ekiden.model.ids import render_id
from ekiden.model.reply import Reply
from ekiden.model.wrong_door import WrongDoor
from ekiden.policy.callers import SPOKE_FIRST
from ekiden.ports.wire import Wire
from ekiden.proto.smtp import events as ev
from ekiden.proto.smtp.server import SmtpServer
from ekiden.session.doorway import AHEAD_OCTETS, GREETING_SECONDS, IDLE_SECONDS, PROGRESS_OCTETS, Doorway
from ekiden.session.faults import report_fault

TIMED_OUT: Final = Reply(421, "4.4.2", "Idle for too long, closing")
SHUTTING_DOWN: Final = Reply(421, "4.3.2", "The server is going down for a moment, please come back")
TOO_SLOW: Final = Reply(421, "4.4.2", "Too little came in five minutes, and places are needed")
REVOKED: Final = Reply(421, "4.7.0", "The login was changed, please log in again")


class Pending(NamedTuple):
    """An answer that needs a wait. `then` makes the reply of the finished future (and may raise its exception); None:
    the future's result is the answer."""

    awaitable: Awaitable[Any]
    then: Callable[[asyncio.Future[Any]], Answer] | None = None


class Challenge(NamedTuple):
    """A 334 with these octets (AUTH)."""

    data: bytes


#: What a session says to an event: None is the usual reply (or nothing, where none is owed).
Answer = Reply | Pending | Challenge | None


class Session(Protocol):
    """What goes on at one door: relay, submission. One object a connection and TLS state.

    `client`: its address. `account`: the login, '' without. `letters`: accepted so far."""

    client: str
    account: str
    letters: int

    def handlers(self) -> dict[type, Callable[[Any], Answer]]:
        """One method an event; events without one get the usual reply."""

    def abandon(self) -> None:
        """The connection or the transaction is over: forget an unfinished letter."""

    async def still_welcome(self) -> bool:
        """Asked after any change to accounts: may this session go on? (invariant 4)"""


SessionFactory = Callable[["Conversation", Wire], Session]


class Conversation:
    """Implements `ports.wire.ServerUser`. `make_session(conversation, wire)` makes the door's session, again after
    STARTTLS."""

    def __init__(self, doorway: Doorway, make_session: SessionFactory) -> None:
        self.doorway = doorway
        self.id = doorway.ids.next(doorway.clock.now())
        self._make_session = make_session
        self._wire: Wire | None = None
        self._machine: SmtpServer | None = None
        self._session: Session | None = None
        self._handlers: dict[type, Callable[[Any], Answer]] = {}
        self._pending: asyncio.Future[Any] | None = None
        self._clogged = False
        self._paused = False
        self._draining = False
        self._peer_ended = False
        self._active = False
        self._unanswered = 0  # octets since the deadline moved last
        self._deadline = 0.0
        self._began = doorway.clock.monotonic()
        self._greet_at: float | None = None  # a stranger's pause ends then
        self._reason = "lost"
        self._errors = 0

    # --- called by the wire -----------------------------------------------------------------------------------

    def connected(self, wire: Wire) -> None:
        self._wire = wire
        self._deadline = self._began + GREETING_SECONDS
        trusted = wire.peer.address in self.doorway.trusted
        self._machine = SmtpServer(self.doorway.settings(tls=wire.tls, logged_in=False, trusted=trusted))
        self._begin_session(wire)
        callers = self.doorway.callers
        pause = 0.0 if callers is None or trusted else callers.arrived(wire.peer.address)
        if pause:
            self._greet_at = self._began + pause
        else:
            self._greet()

    def received(self, data: bytes) -> None:
        assert self._machine is not None
        if self._greet_at is not None:
            self._spoke_first()
            return
        self._unanswered += len(data)
        self._machine.receive(data)
        if self._pending is None and not self._clogged:
            self._run()
        elif self._machine.buffer_octets > AHEAD_OCTETS and not self._paused:
            self._pause()

    def tls_started(self) -> None:
        """RFC 3207 §4.2: everything learned before the handshake is forgotten."""
        assert self._machine is not None
        assert self._wire is not None
        trusted = self._wire.peer.address in self.doorway.trusted
        self._machine.tls_started()
        self._machine.configure(self.doorway.settings(tls=self._wire.tls, logged_in=False, trusted=trusted))
        self._begin_session(self._wire)
        self._active = True

    def writable(self, ok: bool) -> None:  # noqa: FBT001 - the port's form
        self._clogged = not ok
        if not ok:
            self._pause()
        elif self._pending is None:
            self._run()

    def ended(self) -> bool:
        """Keeps the wire until what is owed is said: a 250 that nobody hears makes the client send again."""
        self._peer_ended = True
        if self._greet_at is not None:
            return False
        return self._pending is not None or self._clogged

    def lost(self, error: Exception | None) -> None:
        if self._session is not None:
            self._session.abandon()
        self._wire = None
        if self._letters or self._errors or self._reason not in ("quit", "lost", "pregreet"):
            self._emit_closed()

    def tick(self, now: float) -> None:
        if self._greet_at is not None:
            if now >= self._greet_at:
                self._greet()
                self._deadline = now + GREETING_SECONDS
        elif self._active or self._pending is not None or self._unanswered >= PROGRESS_OCTETS:
            self._active = False
            self._unanswered = 0
            self._deadline = now + IDLE_SECONDS
        elif now >= self._deadline:
            self._say_goodbye(TIMED_OUT, "timeout")

    # --- called by the worker ---------------------------------------------------------------------------------

    def drain(self) -> None:
        """The server is stopping: finish the transaction under way, then 421 and close."""
        self._draining = True
        if self._machine is not None and self._pending is None and not self._machine.in_transaction:
            self._say_goodbye(SHUTTING_DOWN, "drain")

    def too_slow(self) -> bool:
        if self._pending is None:
            self._say_goodbye(TOO_SLOW, "slow")
        return self._pending is None

    async def accounts_changed(self) -> None:
        """Ends the session if its login is no longer what it was (invariant 4)."""
        if self._session is not None and self._session.account and not await self._session.still_welcome():
            self._say_goodbye(REVOKED, "revoked")

    # --- called by the session --------------------------------------------------------------------------------

    def logged_in(self) -> None:
        """The machine allows what a login may, from the next command on."""
        assert self._machine is not None
        assert self._wire is not None
        self._machine.configure(self.doorway.settings(tls=self._wire.tls, logged_in=True, trusted=False))

    def end(self, reply: Reply, reason: str) -> None:
        """Says `reply` and closes."""
        self._say_goodbye(reply, reason)

    def fault(self, where: str, error: BaseException) -> Reply:
        """Reports an internal fault and makes the reply for it (invariant 7)."""
        doorway = self.doorway
        incident = report_fault(doorway.events, doorway.ids, doorway.clock, session=self.id, where=where, error=error)
        return Reply(451, "4.3.0", f"Internal fault, please try again later (incident {incident})")

    # --- within -----------------------------------------------------------------------------------------------

    @property
    def _letters(self) -> int:
        return self._session.letters if self._session is not None else 0

    def _greet(self) -> None:
        assert self._machine is not None
        if self._greet_at is not None and self.doorway.callers is not None and self._session is not None:
            self._greet_at = None
            self.doorway.callers.waited(self._session.client)
        self._machine.greeting()
        self._flush()
        self._active = False

    def _spoke_first(self) -> None:
        if self.doorway.callers is not None and self._session is not None:
            self.doorway.callers.spoke_first(self.id, self._session.client)
        self._greet_at = None
        self._say_goodbye(SPOKE_FIRST, "pregreet")

    def _begin_session(self, wire: Wire) -> None:
        if self._session is not None:
            self._session.abandon()
        self._session = self._make_session(self, wire)
        self._handlers = self._session.handlers()

    def _run(self) -> None:
        """Handles all events that are there, then writes once."""
        machine = self._machine
        assert machine is not None
        while self._pending is None and not self._clogged and self._wire is not None:
            event = machine.next_event()
            if event is None:
                break
            self._handle(machine, event)
        if self._draining and self._pending is None and not machine.in_transaction:
            self._say_goodbye(SHUTTING_DOWN, "drain")
            return
        self._flush()
        if self._peer_ended and self._pending is None and not self._clogged:
            self._close("lost")
            return
        if self._paused and self._pending is None and not self._clogged:
            self._paused = False
            if self._wire is not None:
                self._wire.resume()

    def _handle(self, machine: SmtpServer, event: ev.Event) -> None:
        kind = type(event)
        if kind is ev.StartTls:
            self._start_tls(machine)
            return
        if kind is ev.Quit or kind is ev.Disconnect:
            self._close(event.reason if isinstance(event, ev.Disconnect) else "quit")
            return
        if kind is ev.CommandRefused:
            assert isinstance(event, ev.CommandRefused)
            self._errors += 1
            self._tell_wrong_door(self.doorway.wrong_door(event.reply))
            return
        handler = self._handlers.get(kind)
        try:
            answer = handler(event) if handler is not None else None
        except Exception as error:  # invariant 7: ours, so temporary
            answer = self.fault(f"session {kind.__name__}", error)
        self._act(machine, answer)

    def _tell_wrong_door(self, what: WrongDoor | None) -> None:
        if what is not None and self._wire is not None:
            self.doorway.gate.wrong(self._wire.peer.address, what)

    def _act(self, machine: SmtpServer, answer: Answer) -> None:
        if isinstance(answer, Pending):
            self._wait_for(answer)
        elif isinstance(answer, Challenge):
            machine.challenge(answer.data)
        elif machine.awaits_answer:
            if answer is not None and answer.code >= 400 and self._is_tarpitted:
                self._hold_back(machine, answer)
            else:
                machine.answer(answer)

    @property
    def _is_tarpitted(self) -> bool:
        if not self.doorway.config.limits.tarpit or self._session is None or self._wire is None:
            return False
        return not self._session.account and self._wire.peer.address not in self.doorway.trusted

    def _hold_back(self, machine: SmtpServer, answer: Reply) -> None:
        """`limits.tarpit`: a refusal is said later; what comes meanwhile waits behind it."""

        def say(done: asyncio.Future[None]) -> None:
            self._pending = None
            if not done.cancelled() and self._wire is not None:
                machine.answer(answer)
                self._run()

        self._pending = asyncio.ensure_future(self.doorway.pause(self.doorway.config.limits.tarpit))
        self._pending.add_done_callback(say)

    def _wait_for(self, pending: Pending) -> None:
        future = asyncio.ensure_future(pending.awaitable)
        self._pending = future
        future.add_done_callback(lambda done: self._resolved(done, pending.then))

    def _resolved(self, future: asyncio.Future[Any], then: Callable[[asyncio.Future[Any]], Answer] | None) -> None:
        self._pending = None
        machine = self._machine
        assert machine is not None
        try:
            answer = future.result() if then is None else then(future)
        except asyncio.CancelledError:
            return
        except Exception as error:  # invariant 7
            answer = self.fault("session wait", error)
        if self._wire is None:
            return
        self._act(machine, answer)
        if self._pending is None:
            self._run()

    def _start_tls(self, machine: SmtpServer) -> None:
        assert self._wire is not None
        self._wire.pause()  # before the 220 is written: what comes after it is for the handshake (invariant 5)
        machine.answer(None)
        self._flush()
        self._wire.start_tls()

    def _flush(self) -> None:
        assert self._machine is not None
        output = self._machine.output()
        if output and self._wire is not None and not self._wire.is_closing:
            self._active = True
            self._wire.write(output)

    def _pause(self) -> None:
        if self._wire is not None and not self._paused:
            self._paused = True
            self._wire.pause()

    def _close(self, reason: str) -> None:
        self._reason = reason
        if reason == "http":
            self._tell_wrong_door(WrongDoor.HTTP)
        self._flush()
        if self._wire is not None:
            self._wire.close()

    def _say_goodbye(self, reply: Reply, reason: str) -> None:
        if self._machine is None or self._wire is None or self._wire.is_closing:
            return
        self._machine.refuse(reply)
        self._close(reason)

    def _emit_closed(self) -> None:
        clock = self.doorway.clock
        self.doorway.events.emit(
            SessionClosed(
                session=render_id(self.id),
                door=self.doorway.door.value,
                client=self._session.client if self._session is not None else "",
                reason=self._reason,
                letters=self._letters,
                errors=self._errors,
                seconds=round(clock.monotonic() - self._began, 3),
            )
        )
