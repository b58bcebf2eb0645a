"""A flood for the benchmark: connections at a fixed rate, each from another address of 127.0.0.0/8.

Rules
1. It runs as a process of its own and gives way to all others (nice 19), as `lab.guessing` does. What it cannot make at
   the rate it leaves out: `made` says how many there were.
2. `guess` False: each connects and waits until it is closed. True: each shakes hands (465) and tries one password of
   nobody's.
3. `with Flood(…) as flood:` floods as long as the block runs; afterwards `flood.made` and `flood.answers`.

Called by `lab.bench.guards`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

#: Connections that have not ended; beyond them none is made.
MOST_OPEN: Final = 2000
#: A client gives up after so many seconds.
_PATIENCE: Final = 30.0
_BEAT: Final = 0.01


def address(first: int, number: int) -> str:
    """The `number`th address of 127.`first`.0.0/16, neighbours far from each other: it is one /24 in 256 times."""
    return f"127.{first}.{number % 256}.{number // 256 % 250 + 1}"


class Flood:
    """`first`: the addresses are those of 127.`first`.0.0/16."""

    def __init__(self, port: int, domain: str, rate: float, *, first: int, guess: bool) -> None:
        self.made = 0
        self.answers: dict[str, int] = {}
        self.seconds = 0.0
        wanted = {"port": port, "domain": domain, "rate": rate, "first": first, "guess": guess}
        self._wanted = json.dumps(wanted)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Flood:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ekiden.lab.flood", self._wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the first was answered
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        said, _nothing = self._process.communicate(timeout=60)
        told = json.loads(said)
        self.made, self.seconds, self.answers = told["made"], told["seconds"], told["answers"]


class _Flooder:
    def __init__(self, port: int, domain: str, first: int, *, guess: bool) -> None:
        self.answers: Counter[str] = Counter()
        self.made = 0
        self.first = asyncio.Event()
        self._port = port
        self._domain = domain
        self._net = first
        self._guess = guess
        self._open: set[asyncio.Task[None]] = set()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    async def run(self, rate: float) -> None:
        began = time.monotonic()
        due = 0
        while True:
            due, late = int((time.monotonic() - began) * rate), due
            for _ in range(due - late):
                if len(self._open) < MOST_OPEN:
                    self._begin()
            await asyncio.sleep(_BEAT)

    def _begin(self) -> None:
        self.made += 1
        source = address(self._net, self.made)
        visit = partial(self._try, source, self.made) if self._guess else partial(self._knock, source)
        task = asyncio.get_running_loop().create_task(self._patiently(visit))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _patiently(self, visit: Callable[[], Awaitable[str]]) -> None:
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                self.answers[await visit()] += 1
        self.first.set()

    async def _knock(self, source: str) -> str:
        """Raw sockets: streams would make the generator the bottleneck."""
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.setblocking(False)  # noqa: FBT003 - the library's form
            connection.bind((source, 0))
            await loop.sock_connect(connection, ("127.0.0.1", self._port))
            try:
                said = await loop.sock_recv(connection, 100)
            except ConnectionResetError:
                said = b""
        return said[:3].decode() or "closed"

    async def _try(self, source: str, number: int) -> str:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, local_addr=(source, 0)
        )
        try:
            await reader.readuntil(b"\n")
            writer.write(b"EHLO guesser.test\r\n")
            while not (await reader.readuntil(b"\n")).startswith(b"250 "):
                pass
            secret = base64.b64encode(f"\0guess{number}@{self._domain}\0wrong".encode())
            writer.write(b"AUTH PLAIN " + secret + b"\r\n")
            return (await reader.readuntil(b"\n"))[:3].decode()
        finally:
            writer.close()

    async def end(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


async def _flood(port: int, domain: str, rate: float, first: int, *, guess: bool) -> dict[str, object]:
    flooder = _Flooder(port, domain, first, guess=guess)
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    running = loop.create_task(flooder.run(rate))
    await flooder.first.wait()
    print("flooding", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    seconds = time.monotonic() - began
    running.cancel()
    await flooder.end()
    return {"made": flooder.made, "seconds": seconds, "answers": flooder.answers}


def main() -> None:
    os.nice(19)
    print(json.dumps(asyncio.run(_flood(**json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
