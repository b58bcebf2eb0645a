"""OutboundWire: what is not answered is acknowledged at once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from ekiden.net.outbound import OutboundWire
from ekiden.ports.wire import Wire


class Socket:
    family = socket.AF_INET

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))


class Transport:
    def __init__(self, found: Socket | None) -> None:
        self.socket = found
        self.closing = False

    def get_extra_info(self, name: str) -> Any:
        return self.socket if name == "socket" else ("192.0.2.1", 25) if name == "peername" else None

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.closing = True


class User:
    """Answers what ends with a question mark."""

    def connected(self, wire: Wire) -> None:
        self.wire = wire

    def received(self, data: bytes) -> None:
        if data.endswith(b"?"):
            self.wire.write(b"yes")
        if data.endswith(b"!"):
            self.wire.abort()

    def lost(self, error: Exception | None) -> None:
        pass


class Owner:
    def __init__(self) -> None:
        self.user = User()

    def made(self, wire: object) -> None:
        pass

    def opened(self, wire: object) -> User:
        return self.user

    def closed(self, wire: object, error: Exception | None) -> None:
        pass


def make(found: Socket | None) -> OutboundWire:
    wire = OutboundWire(cast(asyncio.AbstractEventLoop, None), cast(Any, Owner()), None)
    wire.connection_made(cast(asyncio.BaseTransport, Transport(found)))
    return wire


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has it")
def test_what_is_not_answered_is_acknowledged_at_once() -> None:
    """Nagle at the server waits for it, and TCP would delay it by 40 ms."""
    found = Socket()
    wire = make(found)
    wire.data_received(b"well?")
    assert found.options == [], "the answer takes the acknowledgement with it"
    wire.data_received(b"250 go on")
    assert found.options == [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)]
    wire.data_received(b"now go!")
    assert len(found.options) == 1, "a connection that was closed has no socket"


def test_a_unix_socket_needs_none() -> None:
    local = Socket()
    local.family = socket.AF_UNIX
    for found in (local, None):
        make(found).data_received(b"250 go on")
    assert local.options == []
