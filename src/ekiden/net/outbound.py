"""OutboundWire: a StreamWire to a next hop, with what only a client needs.

Rules
1. Octets that we do not answer at once are acknowledged at once (TCP_QUICKACK, Linux). A server that pipelines writes
   its replies in several small pieces; Nagle's algorithm holds the second until the first is acknowledged, and TCP
   delays that by 40 ms when there is nothing to send. Postfix behind one connection: 44 ms a letter, with it 1.2.
2. A TLS session is kept, to be resumed by the next connection (`tls_sessions`).

Made by `net.connector`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from ekiden.net.tls_sessions import keep_session
from ekiden.net.wire import StreamWire, TlsSide, WireOwner

#: None where the system has no such option.
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)


class OutboundWire(StreamWire):
    __slots__ = ("_answered", "_kept", "_socket")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: WireOwner,
        tls_side: TlsSide | None,
    ) -> None:
        super().__init__(loop, owner, tls_side)
        self._answered = False
        self._kept = False
        self._socket: Any = None

    def write(self, data: bytes) -> None:
        self._answered = True
        super().write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        found = transport.get_extra_info("socket")
        if _QUICKACK is not None and found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            self._socket = found
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._answered = False
        super().data_received(data)
        if not self._answered and self._socket is not None and not self.is_closing:
            with contextlib.suppress(OSError, ValueError):  # it was closed in this moment
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _give(self, data: bytes) -> None:
        super()._give(data)
        transport = self._transport
        if not self._kept and self.tls is not None and transport is not None:
            self._kept = True
            keep_session(transport.get_extra_info("ssl_object"))
