"""CountingSink: takes every letter, and counts what a site's budget is about. One thread with a loop of its own.

A connection is counted from when the loop knows of it until the loop knows of its end, whichever side ended it; what
the kernel tells in one turn is taken ends first.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TOKEN: Final = re.compile(rb"Subject: (\S+)")
_REPLIES: Final = {b"EHLO": b"250-sink.test\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class CountingSink:
    """`most`: the highest number of connections that were open at once. `connected`, `begun`: when (monotonic) each
    connection came, and each letter began. `tokens`: subjects of the letters taken, in order. `slow`: seconds between
    the end of a letter and its reply. Whatever the `greeting` is, it waits for us to hang up."""

    def __init__(
        self, *addresses: str, port: int = 0, slow: float = 0.0, greeting: str = "220 sink.test ESMTP"
    ) -> None:
        self._addresses = addresses or ("127.0.0.1",)
        self.port = port
        self.slow = slow
        self.greeting = greeting.encode() + b"\r\n"
        self.open = 0
        self.most = 0
        self.connected: list[float] = []
        self.begun: list[float] = []
        self.tokens: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    @contextmanager
    def serving(self) -> Iterator[CountingSink]:
        thread = threading.Thread(target=self._run)
        thread.start()
        assert self._ready.wait(30)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()

    def _run(self) -> None:
        loop = self._loop
        servers, connections = [], set[_Connection]()
        for address in self._addresses:
            server = loop.run_until_complete(
                loop.create_server(lambda: _Connection(self, connections), address, self.port, backlog=500)
            )
            self.port = server.sockets[0].getsockname()[1]
            servers.append(server)
        self._ready.set()
        loop.run_forever()
        for server in servers:
            server.close()
        for connection in list(connections):
            connection.transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, sink: CountingSink, connections: set[_Connection]) -> None:
        self._sink = sink
        self._connections = connections
        self._buffer = b""
        self._in_data = False
        self._waiting = False
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)
        sink = self._sink
        self._counted = True
        sink.open += 1
        sink.most = max(sink.most, sink.open)
        sink.connected.append(time.monotonic())
        transport.write(sink.greeting)

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._connections.discard(self)

    def _end(self) -> None:
        if self._counted:
            self._counted = False
            self._sink.open -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._go_on()

    def _go_on(self) -> None:
        """Everything in order: what was pipelined behind a slow reply waits for it."""
        while not self._waiting:
            if self._in_data:
                content, found, rest = self._buffer.partition(b"\r\n.\r\n")
                if not found:
                    return
                self._buffer, self._in_data, self._waiting = rest, False, True
                self._sink._loop.call_later(self._sink.slow, self._taken, content)
                return
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                return
            self._buffer = rest
            self._obey(line[:4].upper())

    def _obey(self, verb: bytes) -> None:
        if verb == b"MAIL":
            self._sink.begun.append(time.monotonic())
        self._in_data = verb == b"DATA"
        self.transport.write(_REPLIES.get(verb, b"250 ok\r\n"))
        if verb == b"QUIT":
            self.transport.close()

    def _taken(self, content: bytes) -> None:
        self._waiting = False
        if self.transport.is_closing():
            return
        match = _TOKEN.search(content)
        assert match is not None
        self._sink.tokens.append(match[1].decode())
        self.transport.write(b"250 taken\r\n")
        self._go_on()
