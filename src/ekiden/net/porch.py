"""Porch: a connection to an implicit-TLS door before its handshake, while nobody knows yet what will be spoken.

    header (from a listed proxy only) -> first octet -> TLS: over to the handshake
                                                     -> the clear, or silence: one line, and the door is closed
                                                     -> HTTP, SSH, a forged PROXY header: closed

Rules
1. Octets of the handshake are only looked at (MSG_PEEK), never taken: the TLS library needs them. Those of a PROXY
   header are taken, and not one more.
2. Each of the two waits lasts `PATIENCE`; no timer a connection, `tick` counts.
3. After the line the sending side is closed and what still comes is thrown away for a moment: closed at once, unread
   octets would make the kernel reset the connection, and the line would be lost.

Made by `net.door_wire`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from enum import Enum
from typing import Final, Protocol

from ekiden.model.wrong_door import WrongDoor
from ekiden.ports.gate import Gate
from ekiden.proto.first_octets import recognise
from ekiden.proto.haproxy import HeaderFault, HeaderMissing, HeaderReader, ProxyHeader

#: Seconds until a PROXY header, and then the first octet, must be there.
PATIENCE: Final = 10
#: Seconds that a client has to read why it is sent away.
LEAVING: Final = 3
_PEEK: Final = 8192


class PorchOwner(Protocol):
    """The wire. Exactly one of `shake_hands` and `gone` comes."""

    def named(self, header: ProxyHeader) -> bool:
        """The PROXY header: who it is. False: not let in."""

    def shake_hands(self, connection: socket.socket) -> None:
        """TLS begins; the socket is the owner's."""

    def gone(self, error: Exception | None) -> None:
        """The socket is closed."""


class _Stage(Enum):
    HEADER = 0
    FIRST = 1
    LEAVING = 2
    OVER = 3


class Porch:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        gate: Gate,
        address: str,
        owner: PorchOwner,
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._gate = gate
        self._address = address
        self._owner = owner
        self._header = HeaderReader() if gate.expects_header(address) else None
        self._stage = _Stage.FIRST if self._header is None else _Stage.HEADER
        self._ticks = 0
        loop.add_reader(connection, self._readable)

    def tick(self) -> None:
        """About once a second."""
        self._ticks += 1
        if self._stage is _Stage.LEAVING:
            if self._ticks > LEAVING:
                self.close()
        elif self._ticks > PATIENCE and self._stage is _Stage.HEADER:
            self._gate.refused(self._address, "proxy-header-missing", f"none within {PATIENCE} seconds")
            self.close()
        elif self._ticks > PATIENCE and self._stage is _Stage.FIRST:
            self._gate.wrong(self._address, WrongDoor.SILENT)
            self._send_away()

    def close(self, error: Exception | None = None) -> None:
        if self._leave():
            self._connection.close()
            self._owner.gone(error)

    def _readable(self) -> None:
        try:
            octets = self._connection.recv(_PEEK, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.close(error)
            return
        if not octets:
            self.close()
        elif self._stage is _Stage.LEAVING:
            self._take(len(octets))
        elif self._stage is _Stage.HEADER:
            self._read_header(octets)
        else:
            self._look_at(octets)

    def _read_header(self, octets: bytes) -> None:
        reader = self._header
        assert reader is not None
        try:
            header = reader.feed(octets)
        except HeaderFault as fault:
            rule = "proxy-header-missing" if isinstance(fault, HeaderMissing) else "proxy-header-malformed"
            self._gate.refused(self._address, rule, str(fault))
            self.close()
            return
        self._take(reader.taken)
        if header is None:
            return
        if header.source is not None:
            self._address = header.source.address
        if not self._owner.named(header):
            self.close()
            return
        self._stage = _Stage.FIRST  # what came behind it makes the socket readable again
        self._ticks = 0

    def _look_at(self, octets: bytes) -> None:
        what = recognise(octets)
        if what is WrongDoor.TLS:
            if self._leave():
                self._owner.shake_hands(self._connection)
            return
        self._gate.wrong(self._address, what or WrongDoor.PLAIN)
        if what is None:
            self._take(len(octets))
            self._send_away()
        else:
            self.close()

    def _send_away(self) -> None:
        self._stage = _Stage.LEAVING
        self._ticks = 0
        try:
            self._connection.send(self._gate.tls_first)
            self._connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.close(error)

    def _take(self, number: int) -> None:
        with contextlib.suppress(OSError):  # it is there, as we have just seen
            self._connection.recv(number)

    def _leave(self) -> bool:
        """False: it was left before."""
        if self._stage is _Stage.OVER:
            return False
        self._stage = _Stage.OVER
        self._loop.remove_reader(self._connection)
        return True
