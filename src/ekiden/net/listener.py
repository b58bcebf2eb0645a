"""Doors: the listening sockets that a worker inherited, and the sessions behind them.

Rules
1. Sockets are bound by the supervisor and only accepted on here (DESIGN §5 "Doors").
2. What stands behind a door is a `DoorService`, replaced as a whole at reload: a connection keeps what it began with.
3. `limit` connections at once in this worker, over all doors; who comes beyond it gets the door's refusal (421), and
   far beyond it, or where that would take a TLS handshake, a closed connection.
4. A worker that has many more sessions than another pauses for a moment (`net.balance`).
5. Draining: accept no more, tell every session, wait until they have gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

from ekiden.model.door import DOORS, Door
from ekiden.model.events import SessionClosed
from ekiden.net.balance import MOST_PAUSES, PAUSE, ROOM, Alone, Balance, is_crowded
from ekiden.net.door_wire import DoorWire
from ekiden.net.faults import report_fault
from ekiden.net.slowness import surplus
from ekiden.net.wire import StreamWire, TlsSide, WireSet
from ekiden.ports.clock import Clock, Random
from ekiden.ports.events import EventSink
from ekiden.ports.gate import OPEN_GATE, Gate
from ekiden.ports.wire import ServerUser, Wire, WireUser

#: Connections beyond the limit that are still told why; each costs a file descriptor for a moment.
REFUSALS: Final = 500
#: Connections taken in one turn of the loop, so that a flood at one door does not starve the others.
ACCEPTS: Final = 64
#: Seconds until a door that could not accept (no file descriptors) tries again.
RETRY: Final = 1.0
#: The queue of connections that wait for `accept`; the kernel cuts it to net.core.somaxconn.
BACKLOG: Final = 4096


class DoorService(NamedTuple):
    """`make_user`: a new session. `refusal`: the octets that a client beyond the limit gets. `tls` None: no TLS
    here. `gate`: who may come in."""

    make_user: Callable[[], ServerUser]
    refusal: bytes
    tls: TlsSide | None
    limit: int
    gate: Gate = OPEN_GATE


class Doors:
    """All doors of a worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        random: Random,
        events: EventSink,
        balance: Balance | None = None,
    ) -> None:
        self._loop = loop
        self._random = random
        self._events = events
        self._balance = balance or Alone()
        self._doors: dict[Door, _OpenDoor] = {}
        self._bound: list[tuple[_OpenDoor, socket.socket]] = []
        self._servers: list[asyncio.Server | _TlsServer] = []
        self._pauses = 0
        self._pause: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self.wires = WireSet(loop, clock)

    async def open(self, sockets: Mapping[Door, Sequence[socket.socket]], services: Mapping[Door, DoorService]) -> None:
        """Accepts on `sockets` from now on; closing them is ours."""
        for door, bound in sockets.items():
            opened = self._doors[door] = _OpenDoor(door, services[door], self, self._loop)
            self._bound += [(opened, listener) for listener in bound]
        await self._listen()
        self._balance.tell(len(self.wires))

    async def _listen(self) -> None:
        """On descriptors of our own: the loop's servers close theirs, and the sockets are needed again."""
        for opened, bound in self._bound:
            listener = bound.dup()
            if opened.implicit:
                self._servers.append(_TlsServer(self._loop, listener, opened))
                continue
            try:
                server = await self._loop.create_server(opened.protocol, sock=listener, backlog=BACKLOG)
            except BaseException:  # stopped meanwhile
                listener.close()
                raise
            self._servers.append(server)

    def replace(self, services: Mapping[Door, DoorService]) -> None:
        """For the connections that come from now on."""
        for door, opened in self._doors.items():
            if door in services:
                opened.service = services[door]

    def sessions(self) -> dict[str, int]:
        """Connections of each open door, now."""
        return {door.value: opened.connections for door, opened in self._doors.items()}

    def stop(self) -> None:
        """Accepts no more. Idempotent."""
        self._balance.tell(-1)
        if self._pause is not None:
            self._pause.cancel()
        if self._reopening is not None:
            self._reopening.cancel()
        self._close_servers()
        for _, bound in self._bound:
            bound.close()
        self._bound.clear()

    def counted(self, *, more: bool) -> None:
        """A connection has come (`more`) or gone."""
        mine = len(self.wires)
        if not self._bound:
            return
        self._balance.tell(mine)
        if self._pause is not None:
            if not more and not is_crowded(mine + ROOM, self._balance.least()):  # they were short ones
                self._accept_again()
        elif more and mine > ROOM and self._servers and is_crowded(mine, self._balance.least()):
            self._close_servers()
            self._pauses = 0
            self._pause = self._loop.call_later(PAUSE, self._end_pause)

    def _end_pause(self) -> None:
        self._pauses += 1
        if self._pauses < MOST_PAUSES and is_crowded(len(self.wires), self._balance.least()):
            self._pause = self._loop.call_later(PAUSE, self._end_pause)
        else:
            self._accept_again()

    def _accept_again(self) -> None:
        assert self._pause is not None
        self._pause.cancel()
        self._pause = None
        self._reopening = self._loop.create_task(self._listen())
        self._reopening.add_done_callback(self._accepts_again)

    def _accepts_again(self, done: asyncio.Task[None]) -> None:
        """Or not: no file descriptors. Then it is tried again, and the connections wait."""
        error = None if done.cancelled() else done.exception()
        if isinstance(error, OSError) and self._bound:
            self.cannot_accept(self._bound[0][0].door, error)
            self._close_servers()
            self._pause = self._loop.call_later(RETRY, self._end_pause)

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def drain(self) -> None:
        """`stop`, and every session is told to end after its transaction."""
        self.stop()
        for wire in self.wires:
            if wire.user is None:  # it has not even said anything
                wire.abort()
        for wire, user in self._sessions():
            self.guarded(wire, "drain", user.drain)

    async def accounts_changed(self) -> None:
        """Sessions whose login is no longer valid end (invariant 4)."""
        for wire, user in self._sessions():
            try:
                await user.accounts_changed()
            except Exception as error:
                self.report(wire, "accounts_changed", error)
                wire.abort()

    def bans_changed(self) -> None:
        """Connections of networks that are banned now end."""
        for wire in list(self.wires):
            if isinstance(wire, DoorWire):
                wire.recheck()

    def cut_slow(self, now: float) -> None:
        """About once a second: if places run short, those who hold one and send nothing go, the oldest first."""
        over = surplus(len(self.wires), max((door.service.limit for door in self._doors.values()), default=0))
        if not over:
            return
        slow = [
            (wire.slowness.since, number, user)
            for number, (wire, user) in enumerate(self._sessions())
            if isinstance(wire, DoorWire) and wire.slowness.is_slow(now)
        ]
        for _, _, user in sorted(slow, key=lambda one: one[:2]):
            over -= user.too_slow()
            if not over:
                return

    def close(self) -> None:
        """At once: aborts what is left."""
        self.stop()
        self.wires.abort_all()
        self.wires.stop()

    def guarded(self, wire: StreamWire, where: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self.report(wire, where, error)
            wire.abort()

    def report(self, wire: StreamWire, where: str, error: Exception) -> None:
        report_fault(self._events, self._random, f"session of {wire.peer}, {where}", error)

    def cannot_accept(self, door: Door, error: OSError) -> None:
        report_fault(self._events, self._random, f"{door.value} door, accept", error)

    def handshake_failed(self, door: Door, wire: StreamWire) -> None:
        self._events.emit(SessionClosed(session="", door=door.value, client=wire.peer.address, reason="tls-failed"))

    def _sessions(self) -> Iterable[tuple[StreamWire, ServerUser]]:
        for wire in self.wires:
            if wire.user is not None and not isinstance(wire.user, Refusal):
                yield wire, cast(ServerUser, wire.user)


class _OpenDoor:
    """A door and what stands behind it now."""

    def __init__(self, door: Door, service: DoorService, doors: Doors, loop: asyncio.AbstractEventLoop) -> None:
        self.door = door
        self.service = service
        self.doors = doors
        self.implicit = DOORS[door].implicit_tls
        self.connections = 0
        self._loop = loop

    def protocol(self) -> DoorWire:
        service = self.service
        return DoorWire(self._loop, _Visit(self, service), service.tls, service.gate)


class _TlsServer:
    """Accepts for an implicit-TLS door. The loops' own servers tell of a connection only after its handshake (it
    could not be counted), and take one TLS context for ever (it could not be reloaded)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, door: _OpenDoor) -> None:
        self._loop = loop
        self._listener = listener
        self._door = door
        self._pause: asyncio.TimerHandle | None = None
        listener.settimeout(0)
        listener.listen(BACKLOG)
        loop.add_reader(listener, self._accept)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        if self._listener.fileno() < 0:  # closed in this very turn of the loop, behind the news of a connection
            return
        for _ in range(ACCEPTS):
            try:
                connection, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file descriptors, no memory: the connection waits in the kernel
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(RETRY, self._resume)
                self._door.doors.cannot_accept(self._door.door, error)
                return
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._door.protocol().accepted(connection, peer)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)


class _Visit:
    """`net.wire.WireOwner` of one connection: it keeps the service that it began with (rule 2)."""

    __slots__ = ("_door", "_over", "_service")

    def __init__(self, door: _OpenDoor, service: DoorService) -> None:
        self._door = door
        self._service = service
        self._over = False

    def made(self, wire: StreamWire) -> None:
        wires = self._door.doors.wires
        wires.add(wire)
        self._door.connections += 1
        self._door.doors.counted(more=True)
        self._over = len(wires) > self._service.limit
        if self._over and (self._door.implicit or len(wires) > self._service.limit + REFUSALS):
            wire.abort()

    def opened(self, wire: StreamWire) -> WireUser | None:
        service = self._service
        if self._over:
            return Refusal(service.refusal)
        if not self._door.implicit and isinstance(wire, DoorWire):  # else asked in the porch
            refusal = wire.enter()
            if refusal is not None:
                return Refusal(refusal)
        return service.make_user()

    def closed(self, wire: StreamWire, error: Exception | None) -> None:
        self._door.doors.wires.discard(wire)
        self._door.connections -= 1
        self._door.doors.counted(more=False)
        if wire.user is None and isinstance(wire, DoorWire) and wire.shook_hands and not self._over:
            self._door.doors.handshake_failed(self._door.door, wire)

    def fault(self, wire: StreamWire, where: str, error: Exception) -> None:
        self._door.doors.report(wire, where, error)


class Refusal:
    """`ports.wire.WireUser` that says one thing and closes."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def connected(self, wire: Wire) -> None:
        wire.write(self._octets)
        wire.close()

    def received(self, data: bytes) -> None:
        """Whatever it is."""

    def tls_started(self) -> None:
        """Never."""

    def writable(self, ok: bool) -> None:  # noqa: FBT001 - the port's form
        """Nothing more is written."""

    def ended(self) -> bool:
        return False

    def lost(self, error: Exception | None) -> None:
        """Nothing to clean up."""

    def tick(self, now: float) -> None:
        """The wire is closing, and sees to it itself."""
