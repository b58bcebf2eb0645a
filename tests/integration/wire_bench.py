"""What the tests of wires talk with: sessions that answer lines, and a worker's edge around them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from ekiden.model.door import Door
from ekiden.net.certificates import load_certificate
from ekiden.net.connector import SocketConnector
from ekiden.net.listener import Doors, DoorService
from ekiden.net.tls import door_side
from ekiden.net.wire import TlsSide
from ekiden.ports.wire import Wire
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.integration.certificates import Files


class Talker:
    """A `ServerUser` that answers lines and keeps what happened. `STARTTLS` upgrades, `BOOM` raises, `QUIT` closes."""

    def __init__(self, bench: Bench, *, answers: bool = True) -> None:
        self.bench = bench
        self.answers = answers
        self.wire: Wire
        self.calls: list[str] = []
        self.data = b""
        self.done = asyncio.Event()
        self.changed = asyncio.Event()
        self.pauses = False
        bench.talkers.append(self)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.changed.set()

    def connected(self, wire: Wire) -> None:
        self.wire = wire
        self._note("connected")
        if wire.tls is not None:
            self._note("protected")
        if self.answers:
            wire.write(b"hello\n")

    def received(self, data: bytes) -> None:
        self.data += data
        self._note("received")
        if b"BOOM" in data:
            raise ValueError("boom")
        if data.startswith(b"STARTTLS"):
            self.wire.pause()
            self.wire.write(b"go\n")
            self.wire.start_tls()
        elif not self.answers:
            pass
        elif data.startswith(b"FLOOD"):
            self.wire.write(b"x" * 20_000_000)
        elif data.startswith(b"PAUSE"):
            self.wire.pause()
            self.wire.write(b"paused\n")
        elif data.startswith(b"QUIT"):
            self.wire.write(b"bye\n")
            self.wire.close()
        else:
            self.wire.write(b"got " + data)

    def tls_started(self) -> None:
        self._note("tls_started")
        if self.answers:
            self.wire.write(b"protected\n")

    def writable(self, ok: bool) -> None:
        self._note(f"writable {ok}")

    def ended(self) -> bool:
        return False

    def lost(self, error: Exception | None) -> None:
        self._note(f"lost {type(error).__name__ if error else None}")
        self.done.set()

    def tick(self, now: float) -> None:
        self._note("tick")

    def drain(self) -> None:
        self._note("drain")
        self.wire.write(b"closing\n")
        self.wire.close()

    def too_slow(self) -> bool:
        return False

    async def accounts_changed(self) -> None:
        self._note("accounts_changed")

    async def until(self, call: str) -> None:
        while call not in self.calls:
            self.changed.clear()
            await self.changed.wait()


class Bench:
    """A worker's edge around `Talker`s."""

    def __init__(self, files: Files) -> None:
        loop = asyncio.get_running_loop()
        self.events = CollectingSink()
        self.clock = FakeClock()
        self.doors = Doors(loop, self.clock, FakeRandom(), self.events)
        self.connector = SocketConnector(loop, self.clock, FakeRandom(), self.events)
        self.files = files
        self.talkers: list[Talker] = []
        self.side: TlsSide = door_side([load_certificate(files.certificate, files.key)])
        self.limit = 100

    def service(self) -> DoorService:
        return DoorService(lambda: Talker(self), b"421 full\n", self.side, self.limit)

    async def open(self, door: Door = Door.SUBMISSION, host: str = "127.0.0.1") -> tuple[str, int]:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if ":" in host:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, 0))
        listener.listen()
        address = listener.getsockname()
        await self.doors.open({door: [listener]}, {door: self.service()})
        return "127.0.0.1", address[1]

    async def talker(self, number: int = 0) -> Talker:
        while len(self.talkers) <= number:
            await asyncio.sleep(0.001)
        return self.talkers[number]


def client_context(files: Files) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.authority)
    context.check_hostname = False
    return context


def in_thread(call: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    return asyncio.to_thread(call, *args)


def read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        octet = connection.recv(1)
        if not octet:
            return line
        line += octet
    return line


def dial(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=15)
    assert read_line(connection) == b"hello\n"
    return connection
