"""StreamWire: `asyncio.Protocol` on one side, `ports.wire.Wire` and `WireUser` on the other. The same on uvloop and
asyncio.

Rules
1. STARTTLS: reading is paused before `start_tls` returns. Plain bytes that still come before the loop has changed
   over end the connection; they never reach the session as if they had been protected (invariant 5, RFC 3207 §4.2).
2. Decrypted bytes that come before `loop.start_tls` has returned are kept until the session knows of the TLS.
3. `lost` comes exactly once, and only after `connected`.
4. What a callback raises ends this connection alone, and is reported.
5. One sweep a second for all wires (`WireSet`); no timer a connection.

`net.door_wire` and `net.outbound` make the two kinds of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, NamedTuple, Protocol, cast

from ekiden.net.endpoint import NOWHERE, endpoint
from ekiden.ports.clock import Clock
from ekiden.ports.wire import Endpoint, TlsFacts, WireUser

#: A handshake is four flights; a minute is for mail servers at the other end of a satellite link. asyncio's default
#: too.
HANDSHAKE_SECONDS: Final = 60.0
#: How long we wait for the peer's close_notify after ours.
SHUTDOWN_SECONDS: Final = 5.0
#: How long a peer may take to read what was written before a close: a full socket buffer at modem speed.
CLOSING_SECONDS: Final = 30


class TlsSide(NamedTuple):
    """What `start_tls` works with. `verified`: the context proves `server_name`, or `prove` does after the handshake;
    `proof` is what the trail calls that."""

    context: ssl.SSLContext
    server_side: bool
    server_name: str = ""
    verified: bool = False
    proof: str = ""
    prove: Callable[[ssl.SSLObject], bool] | None = None


class WireOwner(Protocol):
    """Who made the wire and counts it."""

    def made(self, wire: StreamWire) -> None:
        """The connection is there, before any byte."""

    def opened(self, wire: StreamWire) -> WireUser | None:
        """It can be talked over (after the handshake where TLS is implicit): by whom? None: close it."""

    def closed(self, wire: StreamWire, error: Exception | None) -> None:
        """It is gone. `wire.user` is None if it was never opened."""

    def fault(self, wire: StreamWire, where: str, error: Exception) -> None:
        """A callback raised."""


class _Upgrade(Enum):
    NONE = 0
    REQUESTED = 1  # reading is paused, the loop still gives plain bytes to us
    HANDSHAKING = 2  # the loop gives us decrypted bytes only


class StreamWire(asyncio.Protocol):
    """One connection. `tls_side` None: `start_tls` is our own mistake."""

    __slots__ = (
        "_choked",
        "_closing",
        "_closing_ticks",
        "_early",
        "_loop",
        "_lost",
        "_made",
        "_owner",
        "_paused",
        "_task",
        "_tls_side",
        "_transport",
        "_upgrade",
        "local",
        "peer",
        "tls",
        "user",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: WireOwner, tls_side: TlsSide | None) -> None:
        self.peer: Endpoint = NOWHERE
        self.local: Endpoint = NOWHERE
        self.tls: TlsFacts | None = None
        self.user: WireUser | None = None
        self._loop = loop
        self._owner = owner
        self._tls_side = tls_side
        self._transport: asyncio.Transport | None = None
        self._upgrade = _Upgrade.NONE
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._paused = False
        self._choked = False
        self._closing = False
        self._closing_ticks = 0
        self._made = False
        self._lost = False

    # ---- ports.wire.Wire

    @property
    def is_closing(self) -> bool:
        return self._closing or self._transport is None or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._closing or transport.is_closing():  # uvloop raises on a closed one
            return
        if self._upgrade is not _Upgrade.NONE:
            raise RuntimeError("written between start_tls and tls_started")
        transport.write(data)

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._steer_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._steer_reading()
            self._give_early()

    def start_tls(self) -> None:
        if self.is_closing:
            return
        if self._tls_side is None or self.tls is not None or self._upgrade is not _Upgrade.NONE:
            raise RuntimeError("start_tls without a certificate, or twice")
        assert self._transport is not None
        self._transport.pause_reading()
        self._paused = False
        self._upgrade = _Upgrade.REQUESTED
        self._task = self._loop.create_task(self._handshake(self._tls_side))

    def close(self) -> None:
        if self.is_closing:
            self._closing = True
            return
        assert self._transport is not None
        self._closing = True
        if self._upgrade is _Upgrade.NONE:
            self._transport.close()
        else:  # in the middle of a handshake there is no good order
            self._transport.abort()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:  # in the handshake of an implicit-TLS door
            self._task.cancel()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._meet(peer, transport.get_extra_info("sockname"))
        if not self._made:
            self._made = True
            self._owner.made(self)
        if peer is None or self._closing:  # None: it hung up between accept and now; nobody can say who it was
            self.abort()
            return
        if self._tls_side is not None and transport.get_extra_info("ssl_object") is not None:
            self.tls = _facts(self._transport, self._tls_side)
        self._open()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._upgrade is not _Upgrade.NONE:
            if self._upgrade is _Upgrade.HANDSHAKING:
                self._early.append(data)
            else:  # rule 1
                self.abort()
            return
        if self._early:
            self._early.append(data)
            return
        self._give(data)

    def eof_received(self) -> bool:
        """The peer will send no more. Unless its user owes an answer (True), what was written is flushed and the
        connection closed."""
        if self.user is None or self.tls is not None or self._upgrade is not _Upgrade.NONE or self._closing:
            return False
        try:
            return self.user.ended()
        except Exception as error:
            self._fault("ended", error)
            return False

    def pause_writing(self) -> None:
        self._choked = True
        self._tell_writable(ok=False)

    def resume_writing(self) -> None:
        self._choked = False
        self._tell_writable(ok=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)

    # ---- net

    def tick(self, now: float) -> None:
        """About once a second, from `WireSet`."""
        if self._closing:
            self._closing_ticks += 1
            if self._closing_ticks >= CLOSING_SECONDS and self._transport is not None:
                self._transport.abort()
        elif self.user is not None and self._upgrade is _Upgrade.NONE:
            try:
                self.user.tick(now)
            except Exception as error:
                self._fault("tick", error)

    async def _handshake(self, side: TlsSide) -> None:
        raw = self._transport
        if raw is None or self._closing:
            return
        self._upgrade = _Upgrade.HANDSHAKING
        try:
            transport = await self._loop.start_tls(
                raw,
                self,
                side.context,
                server_side=side.server_side,
                server_hostname=None if side.server_side else side.server_name or None,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except Exception as error:
            raw.abort()
            self._finish(error)
            return
        # asyncio gives None, uvloop a closed transport, if the connection went away at that moment
        if transport is None or transport.is_closing() or self._lost:
            raw.abort()
            self._finish(ConnectionResetError("the connection was lost during the TLS handshake"))
            return
        self._protected(transport, side)

    def _protected(self, transport: asyncio.Transport, side: TlsSide) -> None:
        self._transport = transport
        self._upgrade = _Upgrade.NONE
        self._task = None
        self.tls = _facts(transport, side)
        if self._closing or self.user is None:
            transport.abort()
            return
        if self._paused:
            transport.pause_reading()
        try:
            self.user.tls_started()
        except Exception as error:
            self._fault("tls_started", error)
        if self._choked:  # it was choked before the handshake, and the loop tells the TLS layer now, not us
            self.resume_writing()
        self._give_early()

    def _meet(self, peer: object, local: object) -> None:
        self.peer = endpoint(peer)
        self.local = endpoint(local)

    def _open(self) -> None:
        user = self._owner.opened(self)
        if user is None:
            self.abort()
            return
        self.user = user
        try:
            user.connected(self)
        except Exception as error:
            self._fault("connected", error)

    def _give(self, data: bytes) -> None:
        if self.user is None:
            return
        try:
            self.user.received(data)
        except Exception as error:
            self._fault("received", error)

    def _give_early(self) -> None:
        while self._early and not (self._paused or self._closing or self._upgrade is not _Upgrade.NONE):
            self._give(self._early.pop(0))

    def _steer_reading(self) -> None:
        transport = self._transport
        if transport is None or self._upgrade is not _Upgrade.NONE or self._closing or transport.is_closing():
            return
        if self._paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _tell_writable(self, *, ok: bool) -> None:
        if self.user is None or self._lost or self._upgrade is not _Upgrade.NONE:
            return
        try:
            self.user.writable(ok)
        except Exception as error:
            self._fault("writable", error)

    def _fault(self, where: str, error: Exception) -> None:
        self._owner.fault(self, where, error)
        self.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._lost:
            return
        if self._closing and self.user is not None:
            error = None  # we closed; how the peer took it is no news
        self._lost = self._closing = True
        self._transport = None
        self._early.clear()
        self._owner.closed(self, error)
        if self.user is None:
            return
        try:
            self.user.lost(error)
        except Exception as fault:
            self._owner.fault(self, "lost", fault)


def _facts(transport: asyncio.Transport, side: TlsSide) -> TlsFacts:
    tls = transport.get_extra_info("ssl_object")
    cipher = tls.cipher()
    resumed = bool(getattr(tls, "session_reused", False))
    # the context that the handshake ended with: the name that the client asked for may have changed it (SNI)
    binding = getattr(tls.context, "server_end_point", b"")
    verified = side.verified if side.prove is None else side.prove(tls)
    proof = side.proof if verified else ""
    return TlsFacts(tls.version() or "", cipher[0] if cipher else "", verified, binding, resumed, proof)


class WireSet:
    """The wires of a worker's doors, or of its connector, with the sweep over them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._wires: set[StreamWire] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._wires)

    def __iter__(self) -> Iterator[StreamWire]:
        """Over a copy: callbacks may close wires meanwhile."""
        return iter(tuple(self._wires))

    def add(self, wire: StreamWire) -> None:
        self._wires.add(wire)
        self._empty.clear()
        if self._timer is None:
            self._timer = self._loop.call_later(1.0, self._sweep)

    def discard(self, wire: StreamWire) -> None:
        self._wires.discard(wire)
        if not self._wires:
            self._empty.set()

    async def empty(self) -> None:
        """Returns when no wire is left."""
        await self._empty.wait()

    def abort_all(self) -> None:
        for wire in self:
            wire.abort()

    def stop(self) -> None:
        """No more sweeps."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(1.0, self._sweep) if self._wires else None
        now = self._clock.monotonic()
        for wire in self:
            wire.tick(now)
