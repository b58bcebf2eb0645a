"""DoorWire: a StreamWire that somebody has opened to one of our doors, and who that is.

Rules
1. From a listed proxy the connection begins with a PROXY header, before the greeting and before TLS; its client is the
   `peer` from then on. No header within 10 seconds, or anything else: closed, and told (`ports.gate`).
2. The octets of the first read are looked at (`proto.first_octets`), once: who does not speak our protocol at all is
   closed without a word. A TLS client that was there before our greeting gets an alert.
3. Behind an implicit-TLS door the connection waits in the porch until TLS begins (`net.porch`), counted and closable;
   its user is made after the handshake, so that a port scanner costs no session.

Made by `net.listener`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from ekiden.model.wrong_door import WrongDoor
from ekiden.net.endpoint import endpoint
from ekiden.net.porch import PATIENCE, Porch
from ekiden.net.slowness import Slowness
from ekiden.net.wire import HANDSHAKE_SECONDS, SHUTDOWN_SECONDS, StreamWire, TlsSide, WireOwner
from ekiden.ports.gate import Gate
from ekiden.proto.first_octets import TLS_ALERT, recognise
from ekiden.proto.haproxy import HeaderFault, HeaderMissing, HeaderReader, ProxyHeader

_NOTHING: Final = b""


class DoorWire(StreamWire):
    """`shook_hands`: a handshake of an implicit-TLS door began."""

    __slots__ = ("_entered", "_fresh", "_gate", "_header", "_named", "_porch", "_waited", "shook_hands", "slowness")

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: WireOwner, tls_side: TlsSide | None, gate: Gate) -> None:
        super().__init__(loop, owner, tls_side)
        self.shook_hands = False
        self.slowness = Slowness()
        self._gate = gate
        self._entered: str | None = None
        self._fresh = True  # nothing was read yet
        self._header: HeaderReader | None = None
        self._named: ProxyHeader | None = None
        self._porch: Porch | None = None
        self._waited = 0

    def enter(self) -> bytes | None:
        """Asks the gate, once it is known who the client is: None, or what is to be said."""
        address = self.peer.address
        refusal = self._gate.enter(address)
        if refusal is None:
            self._entered = address
        return refusal

    def recheck(self) -> None:
        """Bans have changed."""
        if self._entered is not None and not self._gate.still_welcome(self._entered):
            self.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._entered is not None:
            address, self._entered = self._entered, None
            self._gate.left(address)
        super()._finish(error)

    # ---- implicit TLS

    def accepted(self, connection: socket.socket, peer: object) -> None:
        """Behind an implicit-TLS door: `connection` is ours now; `connection_made` comes after the handshake."""
        self.peer = endpoint(peer)
        self._made = True
        self._owner.made(self)
        address = self.peer.address
        if self._closing or not (self._gate.expects_header(address) or self.enter() is None):
            self._closing = True
            connection.close()
            self._finish(None)
        else:
            self._porch = Porch(self._loop, connection, self._gate, address, self)

    def named(self, header: ProxyHeader) -> bool:
        self._name(header)
        return self.enter() is None

    def shake_hands(self, connection: socket.socket) -> None:
        assert self._tls_side is not None
        self._porch = None
        self.shook_hands = True
        self._task = self._loop.create_task(self._accept_handshake(connection, self._tls_side))

    def gone(self, error: Exception | None) -> None:
        self._porch = None
        self._finish(error)

    async def _accept_handshake(self, connection: socket.socket, side: TlsSide) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self,
                connection,
                ssl=side.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except asyncio.CancelledError:  # by `abort`
            connection.close()
            self._finish(None)
        except Exception as error:
            connection.close()
            self._finish(error)
        self._task = None

    def abort(self) -> None:
        if self._porch is not None:
            self._closing = True
            self._porch.close()
        else:
            super().abort()

    def tick(self, now: float) -> None:
        self.slowness.tick(now)
        if self._porch is not None:
            self._porch.tick()
        elif self._header is not None and not self._closing:
            self._waited += 1
            if self._waited > PATIENCE:
                self._no_header("proxy-header-missing", f"none within {PATIENCE} seconds")
        else:
            super().tick(now)

    # ---- who it is

    def _meet(self, peer: object, local: object) -> None:
        super()._meet(peer, local)
        if self._named is not None:  # in the porch
            self._name(self._named)

    def _name(self, header: ProxyHeader) -> None:
        self._named = header
        if header.source is not None and header.destination is not None:
            self.peer, self.local = header.source, header.destination

    def _open(self) -> None:
        if self._named is None and self._gate.expects_header(self.peer.address):
            self._header = HeaderReader()
        else:
            super()._open()

    # ---- the first octets

    def _give(self, data: bytes) -> None:
        self.slowness.came(len(data))
        if self._fresh:
            data = self._look_at(data)
            if not data or self.user is None:
                return
        try:
            self.user.received(data)  # type: ignore[union-attr]  # it is there since the first octets were given
        except Exception as error:
            self._fault("received", error)

    def _look_at(self, data: bytes) -> bytes:
        """What is the session's of it."""
        if self._header is not None:
            rest = self._read_header(self._header, data)
            if rest is None:
                return _NOTHING
            data = rest
        if data:
            self._fresh = False
            what = recognise(data)
            if what is not None:
                self._turn_away(what)
                return _NOTHING
        if self.user is None:
            super()._open()
        return _NOTHING if self._closing else data

    def _read_header(self, reader: HeaderReader, data: bytes) -> bytes | None:
        """What stands behind it; None: it is not whole yet, or was none."""
        try:
            header = reader.feed(data)
        except HeaderFault as fault:
            missing = isinstance(fault, HeaderMissing)
            self._no_header("proxy-header-missing" if missing else "proxy-header-malformed", str(fault))
            return None
        if header is None:
            return None
        self._header = None
        self._name(header)
        return data[reader.taken :]

    def _no_header(self, rule: str, detail: str) -> None:
        self._gate.refused(self.peer.address, rule, detail)
        self.abort()

    def _turn_away(self, what: WrongDoor) -> None:
        self._gate.wrong(self.peer.address, what)
        if what is WrongDoor.TLS and self.user is None:
            self.write(TLS_ALERT)
        self.close()
