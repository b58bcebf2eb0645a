"""The POP3 doors (110 with STLS, 995 with TLS from the first byte): people fetch, after a login (RFC 1939).

Rules
1. One session a maildrop (`MaildropBusy` -> [IN-USE]); it is released before QUIT is answered, so a client that comes
   straight back finds it free.
2. Messages are deleted at a clean QUIT and never else: not when the connection is lost, the time is up, the login is
   revoked or the server stops (RFC 1939 §6).
3. One operation at a time waits (login, opening, reading, deleting); pipelined commands wait behind it. Everything
   else is synchronous within `received`.
4. Output waits for the peer: neither a message nor a listing is produced faster than it is taken (`writable`).
5. A message that fails half-way ends the connection without the final dot: no client takes a half for the whole.
6. What goes wrong inside us is answered -ERR [SYS/TEMP] with an incident id (invariant 7).
7. When the account changes (passwd, disable, remove) its sessions end within a second (invariant 4).

Implements `ports.wire.ServerUser`; made by the composition root for each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Final

from ekiden.accounts.result import LoginResult
from ekiden.model.door import DOORS
from ekiden.model.wrong_door import WrongDoor
from ekiden.ports.mailboxes import MailboxFailed, Maildrop, MaildropBusy
from ekiden.ports.wire import Wire
from ekiden.proto import sasl
from ekiden.proto.pop3 import events as ev
from ekiden.proto.pop3 import replies as say
from ekiden.proto.pop3.replies import Pop3Reply
from ekiden.proto.pop3.server import Pop3Server, State
from ekiden.session.login import LoginDesk, LoginRefusal
from ekiden.session.pop3_doorway import Pop3Doorway, Pop3Report

#: RFC 1939 §3: an autologout timer is at least 10 minutes, and any command restarts it.
AUTOLOGOUT_SECONDS: Final = 600.0
#: deviates RFC 1939 §3: until the login one minute in all, commands or not. A mail program logs in at once, a person at
#: a terminal within it; who is slower holds connections open. test_pop3.py::test_login_must_come_within_a_minute
LOGIN_SECONDS: Final = 60.0
#: What a client may send ahead of our answers before we stop reading: thousands of pipelined commands.
AHEAD_OCTETS: Final = 64 * 1024
#: A listing lets other sessions have a turn after this much, even if the peer takes it as fast as we make it.
TURN_OCTETS: Final = 512 * 1024
REFUSALS: Final = {
    LoginRefusal.MALFORMED: say.MALFORMED_LOGIN,
    LoginRefusal.WRONG: say.WRONG_LOGIN,
    LoginRefusal.LATER: say.LOGINS_DOWN,
}


class Pop3Session:
    """One connection. `account`: the login, '' before it."""

    def __init__(self, doorway: Pop3Doorway) -> None:
        self.doorway = doorway
        self.id = doorway.ids.next(doorway.clock.now())
        self.account = ""
        self._epoch = 0
        self._wire: Wire | None = None
        self._machine: Pop3Server | None = None
        self._maildrop: Maildrop | None = None
        self._operation: asyncio.Future[None] | None = None
        self._desk: LoginDesk | None = None
        self._room = asyncio.Event()  # the peer takes what we write; also set when the connection is over
        self._room.set()
        self._paused = False
        self._draining = False
        self._commands_seen = 0
        self._report = Pop3Report(doorway, self.id)
        self._deadline = doorway.clock.monotonic() + LOGIN_SECONDS
        self._reason = "lost"
        self._fetched = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Login: self._on_login,
            ev.Auth: self._on_auth,
            ev.AuthResponse: self._on_auth_response,
            ev.AuthCancelled: self._on_auth_cancelled,
            ev.StartTls: self._on_start_tls,
            ev.Retrieve: self._on_retrieve,
            ev.Quit: self._on_quit,
            ev.Mistaken: self._on_mistaken,
            ev.Disconnect: self._on_disconnect,
        }

    # --- called by the wire -----------------------------------------------------------------------------------

    def connected(self, wire: Wire) -> None:
        self._wire = wire
        self._report.client = wire.peer.address
        self._desk = LoginDesk(self.doorway, self.id, wire, "fetch")
        self._machine = Pop3Server(self.doorway.settings(wire.tls))
        self._machine.greeting()
        self._flush()

    def received(self, data: bytes) -> None:
        machine = self._machine
        assert machine is not None
        machine.receive(data)
        if self._operation is None and self._room.is_set():
            self._run()
        if machine.buffer_octets > AHEAD_OCTETS and not self._paused and self._wire is not None:
            self._paused = True
            self._wire.pause()

    def tls_started(self) -> None:
        assert self._machine is not None
        assert self._wire is not None
        self._desk = LoginDesk(self.doorway, self.id, self._wire, "fetch")
        self._machine.tls_started(self.doorway.settings(self._wire.tls))
        self._run()

    def writable(self, ok: bool) -> None:  # noqa: FBT001 - the port's form
        if not ok:
            self._room.clear()
            return
        self._room.set()
        self._touch()  # the peer takes what it asked for: it is there
        if self._operation is None:
            self._run()

    def ended(self) -> bool:
        """Without TLS there is no login, and so nothing worth keeping the wire for."""
        return False

    def lost(self, error: Exception | None) -> None:
        self._wire = None
        self._room.set()
        if self._operation is None and self._maildrop is not None:
            self._start(self._release())
        if self.account or self._reason not in ("quit", "lost") or self._errors:
            self._report.closed(self._reason, fetched=self._fetched, errors=self._errors)

    def tick(self, now: float) -> None:
        machine = self._machine
        if machine is None or self._wire is None:
            return
        logged_in = machine.state is not State.AUTHORIZATION
        if logged_in and machine.commands != self._commands_seen:
            self._commands_seen = machine.commands
            self._deadline = now + AUTOLOGOUT_SECONDS
        elif now >= self._deadline and not (machine.state is State.UPDATE and self._operation is not None):
            self._cut("timeout")  # RFC 1939 §3: closed without a word, and nothing is deleted

    # --- called by the worker ---------------------------------------------------------------------------------

    def drain(self) -> None:
        """The server is stopping. Who has not logged in is sent away; a session under way goes on to its QUIT, as long
        as the worker waits, for its deletions would be lost with it."""
        self._draining = True
        if self._operation is None:
            self._drain_now()

    def too_slow(self) -> bool:
        return False  # who fetches sends little

    async def accounts_changed(self) -> None:
        if not self.account or self._wire is None:
            return
        account, epoch = self.account, self._epoch
        if not await self.doorway.authenticator.still_valid(account, epoch) and self.account == account:
            self.revoked()

    def revoked(self) -> None:
        """Ends the session now and deletes nothing; a QUIT that is being carried out is left to finish."""
        if self._machine is not None and self._machine.state is not State.UPDATE:
            self._cut("revoked")

    # --- events -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Handles all events that are there; writes once, but for a listing, which comes in pieces."""
        machine = self._machine
        assert machine is not None
        written = 0
        while self._operation is None and self._room.is_set() and self._wire is not None:
            event = machine.next_event()
            if event is not None:
                self._handlers[type(event)](event)
                continue
            octets = self._flush()
            if not octets:
                break
            written += octets
            if written > TURN_OCTETS:
                asyncio.get_running_loop().call_soon(self._run_again)
                return
        if self._room.is_set():
            self._flush()
        self._read_on()

    def _run_again(self) -> None:
        if self._operation is None and self._machine is not None:
            self._run()

    def _read_on(self) -> None:
        if self._paused and self._operation is None and self._room.is_set() and self._wire is not None:
            self._paused = False
            self._wire.resume()

    def _on_start_tls(self, event: ev.StartTls) -> None:
        assert self._wire is not None
        assert self._machine is not None
        self._wire.pause()  # before the +OK is written: what comes after it is for the handshake (invariant 5)
        self._paused = False  # start_tls resumes by itself
        self._machine.answer(None)
        self._flush()
        self._wire.start_tls()

    def _on_mistaken(self, event: ev.Mistaken) -> None:
        door = self.doorway.door
        if event.what is not WrongDoor.STARTTLS or DOORS[door].implicit_tls:  # twice at 110 is only a mistake
            self.doorway.gate.wrong(self._report.client, event.what)

    def _on_disconnect(self, event: ev.Disconnect) -> None:
        self._close(event.reason)

    # --- logins -----------------------------------------------------------------------------------------------

    def _on_login(self, event: ev.Login) -> None:
        assert self._desk is not None
        self._start(self._log_in(self._desk.password(event.name, event.password)))

    def _on_auth(self, event: ev.Auth) -> None:
        assert self._desk is not None
        self._desk.begin(event.mechanism)
        self._start(self._log_in(self._desk.step(event.initial)))

    def _on_auth_response(self, event: ev.AuthResponse) -> None:
        assert self._desk is not None
        self._start(self._log_in(self._desk.step(event.data)))

    def _on_auth_cancelled(self, event: ev.AuthCancelled) -> None:
        assert self._desk is not None
        if self._desk.cancel():
            self._end_guessing()

    async def _log_in(self, asked: Awaitable[sasl.Challenge | LoginResult | LoginRefusal]) -> None:
        step = await asked
        if self._wire is None or self._machine is None:
            return
        if isinstance(step, sasl.Challenge):
            self._machine.challenge(step.data)
        elif step is LoginRefusal.TOO_MANY:
            self._end_guessing()
        elif isinstance(step, LoginRefusal):
            self._answer(REFUSALS[step])
        else:
            assert step.account is not None
            self.account, self._epoch = step.account.name, step.account.epoch
            await self._open(step)

    def _end_guessing(self) -> None:
        if self._machine is not None:
            self._machine.refuse(say.TOO_MANY_LOGINS)
            self._close("guessing")

    async def _open(self, login: LoginResult) -> None:
        assert self._desk is not None
        try:
            self._maildrop = await self.doorway.mailboxes.open_maildrop(self.account)
        except (MaildropBusy, MailboxFailed) as error:
            busy = isinstance(error, MaildropBusy)
            reason = "in-use" if busy else f"maildrop failed: {error}"
            self._desk.failed(self.account, reason)
            self.account = ""
            self._answer(say.MAILDROP_BUSY if busy else say.MAILDROP_FAILED)
            return
        if self._wire is None or self._wire.is_closing:
            return  # revoked or lost meanwhile: `_finish` releases it
        assert self._machine is not None
        self._machine.enter(self._maildrop.items, self._maildrop.total_octets)
        self._deadline = self.doorway.clock.monotonic() + AUTOLOGOUT_SECONDS
        self._desk.succeeded(login)

    # --- messages ---------------------------------------------------------------------------------------------

    def _on_retrieve(self, event: ev.Retrieve) -> None:
        self._start(self._retrieve(event))

    async def _retrieve(self, event: ev.Retrieve) -> None:
        assert self._maildrop is not None
        assert self._machine is not None
        machine = self._machine
        async with aclosing(self._maildrop.read(event.item)) as pieces:
            try:
                piece = await anext(pieces, None)
            except KeyError:
                self._answer(say.MESSAGE_GONE)
                return
            except MailboxFailed as error:
                self._answer(say.MESSAGE_FAILED)
                self._report.fault("pop3 retrieve", error)
                return
            machine.answer(None)
            while piece is not None and machine.wants_content:
                machine.content(piece)
                self._flush()
                await self._room.wait()
                if self._wire is None or self._wire.is_closing:
                    return
                piece = await anext(pieces, None)  # what fails from here on ends the connection (rule 5)
        machine.end_content()
        self._fetched += event.lines is None

    def _on_quit(self, event: ev.Quit) -> None:
        self._start(self._quit(event.deletions))

    async def _quit(self, deletions: tuple[int, ...]) -> None:
        left: Sequence[int] = ()
        if self._maildrop is not None:
            if deletions:
                left = await self._maildrop.remove(deletions)
            await self._release()
        self._answer(say.NOT_ALL_REMOVED if left else None)

    # --- operations -------------------------------------------------------------------------------------------

    def _start(self, operation: Coroutine[Any, Any, None]) -> None:
        """Runs the one operation that waits. Its errors are seen to in `_operate`, so the future never holds any."""
        assert self._operation is None
        self._operation = asyncio.ensure_future(self._operate(operation))

    async def _operate(self, operation: Coroutine[Any, Any, None]) -> None:
        try:
            await operation
        except Exception as error:
            self._failed(error)
        finally:
            self._operation = None
        if self._wire is None or self._wire.is_closing:
            await self._release()
            return
        if self._draining:
            self._drain_now()
        self._run()

    async def _release(self) -> None:
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is not None:
            await maildrop.close()

    def _failed(self, error: Exception) -> None:
        """An operation raised: -ERR with the incident id, or, if an answer is half written, the end."""
        incident = self._report.fault("pop3 session", error)
        machine = self._machine
        if machine is not None and machine.awaits_answer and machine.state is not State.UPDATE:
            self._answer(say.err(f"Internal fault, please try again later (incident {incident})", "SYS/TEMP"))
        elif machine is not None and machine.awaits_answer:
            self._answer(say.NOT_ALL_REMOVED)
        else:
            self._cut("fault")

    def _answer(self, reply: Pop3Reply | None) -> None:
        if self._machine is not None and self._machine.awaits_answer:
            self._machine.answer(reply)

    # --- the wire ---------------------------------------------------------------------------------------------

    def _flush(self) -> int:
        assert self._machine is not None
        output = self._machine.output()
        if output and self._wire is not None and not self._wire.is_closing:
            self._wire.write(output)
        return len(output)

    def _touch(self) -> None:
        if self.account:
            self._deadline = self.doorway.clock.monotonic() + AUTOLOGOUT_SECONDS

    def _close(self, reason: str) -> None:
        self._reason = reason
        self._flush()
        if self._wire is not None:
            self._wire.close()

    def _cut(self, reason: str) -> None:
        """Ends without a word: what is half written must not look whole."""
        self._room.set()
        if self._wire is not None:
            self._reason = self._reason if self._wire.is_closing else reason
            self._wire.abort()

    def _drain_now(self) -> None:
        machine = self._machine
        if machine is None or self._wire is None or self._wire.is_closing or machine.state is not State.AUTHORIZATION:
            return
        machine.refuse(say.SHUTTING_DOWN)
        self._close("drain")

    @property
    def _errors(self) -> int:
        return self._machine.errors if self._machine is not None else 0
