"""SocketConnector: outbound connections, to an IP endpoint or a Unix socket. Implements `ports.wire.Connector`.

Rules
1. It never asks DNS: an endpoint is an address. Which addresses are allowed is delivery's decision (invariant 10).
2. One attempt, one deadline (`within`) for connecting and an implicit handshake together; no races (DESIGN §4).
3. Every failure is a `ConnectFailed` with a kind; a user that was never `connected` hears nothing. A source address
   that cannot be bound is `source`: it says nothing about the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
from typing import Any, Final

from ekiden.net.faults import report_fault
from ekiden.net.outbound import OutboundWire
from ekiden.net.tls import ClientTls
from ekiden.net.wire import SHUTDOWN_SECONDS, StreamWire, TlsSide, WireSet
from ekiden.ports.clock import Clock, Random
from ekiden.ports.events import EventSink
from ekiden.ports.wire import ConnectFailed, Endpoint, TlsMode, Wire, WireUser

#: A firewall of this machine says EPERM; one on the way, by ICMPv6 "administratively prohibited" or "reject route",
#: EACCES (by ICMP of IPv4 it is EHOSTUNREACH).
_KINDS: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
}
#: ip(7), Linux 4.2; the socket module has the name since Python 3.12 only.
_BIND_ADDRESS_NO_PORT: Final = 24 if sys.platform == "linux" else None


class SocketConnector:
    """One a worker. `close()` aborts what is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, random: Random, events: EventSink) -> None:
        self._loop = loop
        self._random = random
        self._events = events
        self._tls = ClientTls(clock)
        self.wires = WireSet(loop, clock)

    def resumes(self, tls: TlsMode) -> bool:
        return (tls.allowed or tls.implicit) and self._tls.resumes(tls)

    async def connect(
        self, host: Endpoint | str, user: WireUser, tls: TlsMode, *, within: float, source: str = ""
    ) -> Wire:
        side = self._tls.side(tls) if tls.allowed or tls.implicit else None
        wire = OutboundWire(self._loop, _Attempt(self, user, side), side)
        options: dict[str, Any] = {}
        if tls.implicit and side is not None:
            options = {
                "ssl": side.context,
                "server_hostname": side.server_name,
                "ssl_handshake_timeout": within,
                "ssl_shutdown_timeout": SHUTDOWN_SECONDS,
            }
        try:
            async with asyncio.timeout(within):
                if isinstance(host, str):
                    await self._loop.create_unix_connection(lambda: wire, host, **options)
                else:
                    if source:
                        options["sock"] = await self._connected_from(source, host)
                    else:
                        options |= {"host": host.address, "port": host.port}
                    await self._loop.create_connection(lambda: wire, **options)
        except TimeoutError:
            wire.abort()
            raise ConnectFailed("timeout", f"{host}: no connection within {within:g} s") from None
        except OSError as error:
            wire.abort()
            raise _failed(host, error) from None
        except ConnectFailed:
            wire.abort()
            raise
        except asyncio.CancelledError:
            wire.abort()
            raise
        return wire

    async def _connected_from(self, source: str, host: Endpoint) -> socket.socket:
        """A socket of our own, so that a source that is not ours is told from a host that cannot be reached."""
        made = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM)
        try:
            made.settimeout(0)
            if _BIND_ADDRESS_NO_PORT is not None:  # else an address could not have more connections than ports
                with contextlib.suppress(OSError):
                    made.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            try:
                made.bind((source, 0))
            except OSError as error:
                raise ConnectFailed("source", error.strerror or str(error)) from None
            await self._loop.sock_connect(made, (host.address, host.port))
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        self.wires.abort_all()
        self.wires.stop()

    def forget_session(self, side: TlsSide) -> None:
        """A handshake failed: perhaps for the sake of the session that it went on from."""
        self._tls.forget_session(side)

    def report(self, wire: StreamWire, where: str, error: Exception) -> None:
        report_fault(self._events, self._random, f"connection to {wire.peer}, {where}", error)


class _Attempt:
    """`net.wire.WireOwner` of one outbound wire."""

    def __init__(self, connector: SocketConnector, user: WireUser, side: TlsSide | None) -> None:
        self._connector = connector
        self._user = user
        self._side = side

    def made(self, wire: StreamWire) -> None:
        self._connector.wires.add(wire)

    def opened(self, wire: StreamWire) -> WireUser | None:
        return self._user

    def closed(self, wire: StreamWire, error: Exception | None) -> None:
        self._connector.wires.discard(wire)
        if self._side is not None and wire.tls is None and error is not None:
            self._connector.forget_session(self._side)

    def fault(self, wire: StreamWire, where: str, error: Exception) -> None:
        self._connector.report(wire, where, error)


def _failed(host: Endpoint | str, error: OSError) -> ConnectFailed:
    if isinstance(error, ssl.SSLError):
        text = getattr(error, "verify_message", "") or error.reason or str(error)
        return ConnectFailed("tls", f"{host}: TLS handshake failed: {text}")
    if isinstance(error, ConnectionAbortedError):  # the loop's own handshake timeout
        return ConnectFailed("tls", f"{host}: TLS handshake failed: {error}")
    kind = _KINDS.get(error.errno or 0, "unreachable")
    if isinstance(error, ConnectionResetError):
        kind = "reset"
    return ConnectFailed(kind, f"{host}: {error.strerror or error}")
