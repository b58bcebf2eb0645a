"""A storm of wrong logins, for the benchmark: many connections to 465, each tries three passwords of nobody's and comes
again.

Rules
1. It runs as a process of its own and gives way to all others (nice 19): it shall press on the server, and take its
   own CPU from nobody who is measured on the same machine.
2. Each guess is another login that nobody has, so no pair of login and network is known.
3. `with Storm(…) as storm:` guesses as long as the block runs; `storm.answers` afterwards: how often which code came.

Called by `lab.bench.logins`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from typing import Final

GUESSES: Final = 3


class Storm:
    """`answers`: reply code -> how many guesses got it; known when it is over."""

    def __init__(self, port: int, domain: str, connections: int) -> None:
        self.answers: dict[str, int] = {}
        self._wanted = json.dumps({"port": port, "domain": domain, "connections": connections})
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Storm:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ekiden.lab.guessing", self._wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the first guess was answered
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        said, _nothing = self._process.communicate(timeout=60)  # closes its standard input: the storm is over
        self.answers = json.loads(said)


class _Guesser:
    def __init__(self, port: int, domain: str) -> None:
        self.answers: Counter[str] = Counter()
        self.first = asyncio.Event()
        self._port = port
        self._domain = domain
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._number = 0

    async def guess_on(self) -> None:
        while True:
            with suppress(OSError, EOFError):
                await self._visit()

    async def _visit(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context)
        try:
            await reader.readuntil(b"\n")
            writer.write(b"EHLO guesser.test\r\n")
            while not (await reader.readuntil(b"\n")).startswith(b"250 "):
                pass
            for _ in range(GUESSES):
                self._number += 1
                secret = base64.b64encode(f"\0guess{self._number}@{self._domain}\0wrong".encode())
                writer.write(b"AUTH PLAIN " + secret + b"\r\n")
                answer = await reader.readuntil(b"\n")
                self.answers[answer[:3].decode()] += 1
                self.first.set()
        finally:
            writer.close()


async def _storm(port: int, domain: str, connections: int) -> Counter[str]:
    guesser = _Guesser(port, domain)
    tasks = [asyncio.get_running_loop().create_task(guesser.guess_on()) for _ in range(connections)]
    await guesser.first.wait()
    print("guessing", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return guesser.answers


def main() -> None:
    os.nice(19)
    print(json.dumps(asyncio.run(_storm(**json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
