"""The kill test: SIGKILL to the whole process group at random moments under load, and an account of every letter.

A source on many sessions sends letters, each with a token of its own, and writes down which were acknowledged with
250. A sink writes down which tokens came, before it answers. Letters whose reply never came are unknown and are not
sent again, so what the sink sees twice was sent twice by the server. At the end: acknowledged and never come = lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ekiden.lab.server import TRUSTED_HERE, LabFailed, LabServer

#: A letter that the sink answered this shortly before a kill may not have been written down yet: it was in flight.
IN_FLIGHT_SECONDS: Final = 0.1
#: How long the queue may take to empty after the last restart.
DRAIN_SECONDS: Final = 120.0
_BODY: Final = b"x" * 70 + b"\r\n"


@dataclass
class Account:
    """What was seen. `lost`: acknowledged and never come. `in_flight`: summed over the kills, as the sink saw it."""

    kills: int = 0
    acknowledged: set[bytes] = field(default_factory=set)
    received: Counter[bytes] = field(default_factory=Counter)
    unknown: int = 0
    in_flight: int = 0
    busy_seconds: float = 0.0

    @property
    def lost(self) -> set[bytes]:
        return self.acknowledged - self.received.keys()

    @property
    def duplicates(self) -> int:
        return sum(self.received.values()) - len(self.received)

    @property
    def rate(self) -> float:
        """Letters acknowledged a second, while the server was up."""
        return len(self.acknowledged) / self.busy_seconds if self.busy_seconds else 0.0

    def render(self) -> str:
        rows = (
            ("kills", self.kills),
            ("acknowledged", len(self.acknowledged)),
            ("a second, while up", round(self.rate)),
            ("came to the sink", len(self.received)),
            ("lost", len(self.lost)),
            ("duplicates", self.duplicates),
            ("in flight at the kills", self.in_flight),
            ("unknown to the sender", self.unknown),
        )
        return "\n".join(f"  {name:<24}{value:>10}" for name, value in rows)


@dataclass(frozen=True)
class Plan:
    """`kills` at moments drawn with `seed`; goes on until `letters` were acknowledged as well."""

    kills: int = 20
    letters: int = 20_000
    sessions: int = 50
    workers: int = 2
    size_octets: int = 4096
    seed: int = 1


async def run_kill_test(folder: Path, plan: Plan) -> Account:
    """Runs it in `folder`. Raises LabFailed if the server does not come back, or the queue does not empty."""
    test = _KillTest(folder, plan)
    return await test.run()


class _KillTest:
    def __init__(self, folder: Path, plan: Plan) -> None:
        self._plan = plan
        self._folder = folder
        self._account = Account()
        self._random = random.Random(plan.seed)
        self._up = asyncio.Event()
        self._done = False
        self._answered: list[float] = []
        self._open = 0
        self._number = 0

    async def run(self) -> Account:
        sink = await asyncio.start_server(self._serve_sink, "127.0.0.1", 0)
        port = sink.sockets[0].getsockname()[1]
        server = LabServer(
            self._folder,
            "kill.test",
            workers=self._plan.workers,
            extra=TRUSTED_HERE,
            tables=(
                f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{port}"\ntls = "none"\n'
                "[delivery]\nretry_first = 1\nretry_longest = 2\n"
            ),
        )
        server.prepare()
        sources = [asyncio.ensure_future(self._source(server)) for _ in range(self._plan.sessions)]
        try:
            await self._kill_and_restart(server)
            await self._drain()
        finally:
            self._done = True
            self._up.set()
            for source in sources:
                source.cancel()
            await asyncio.gather(*sources, return_exceptions=True)
            await asyncio.to_thread(server.stop)
            sink.close()
        return self._account

    async def _kill_and_restart(self, server: LabServer) -> None:
        account, plan = self._account, self._plan
        await asyncio.to_thread(server.start)
        while account.kills < plan.kills or len(account.acknowledged) < plan.letters:
            self._up.set()
            began = time.monotonic()
            await asyncio.sleep(self._random.uniform(0.2, 1.6))
            account.busy_seconds += time.monotonic() - began
            if account.kills < plan.kills:
                self._up.clear()
                await asyncio.to_thread(server.kill)
                account.kills += 1
                since = time.monotonic() - IN_FLIGHT_SECONDS
                account.in_flight += self._open + sum(1 for moment in self._answered if moment > since)
                self._answered.clear()
                await asyncio.to_thread(server.start)
        self._done = True

    async def _drain(self) -> None:
        """Until everything acknowledged has come, or nothing more comes."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._account.lost and time.monotonic() < deadline:  # noqa: ASYNC110 - they come to another process
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # what may still come twice

    # --- the source -------------------------------------------------------------------------------------------

    async def _source(self, server: LabServer) -> None:
        while not self._done:
            await self._up.wait()
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
                await self._source_session(server.ports["relay"])
            await asyncio.sleep(0.05)

    async def _source_session(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await _expect(reader, b"220")
            writer.write(b"EHLO source.test\r\n")
            await _expect(reader, b"250")
            while not self._done:
                await self._send_letter(reader, writer)
        finally:
            writer.close()

    async def _send_letter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        token = b"token-%d" % self._number
        writer.write(b"MAIL FROM:<a@source.test>\r\nRCPT TO:<b@sink.test>\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            await _expect(reader, code)
        body = _BODY * (self._plan.size_octets // len(_BODY))
        writer.write(b"Subject: %b\r\n\r\n%b.\r\n" % (token, body))
        self._account.unknown += 1
        if await _reply(reader) == b"250":
            self._account.acknowledged.add(token)
        self._account.unknown -= 1

    # --- the sink ---------------------------------------------------------------------------------------------

    async def _serve_sink(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.test ESMTP\r\n")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb in (b"EHLO", b"HELO"):
                    writer.write(b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    await self._take_letter(reader, writer)
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 ok\r\n")
        writer.close()

    async def _take_letter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            content = await reader.readuntil(b"\r\n.\r\n")
        finally:
            self._open -= 1
        start = content.index(b"Subject: ") + 9
        self._account.received[content[start : content.index(b"\r\n", start)]] += 1
        self._answered.append(time.monotonic())
        writer.write(b"250 taken\r\n")


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    found = await _reply(reader)
    if found != code:
        raise EOFError(f"{found!r} instead of {code!r}")  # ends the session; the source begins a new one


async def _reply(reader: asyncio.StreamReader) -> bytes:
    while True:
        line = await reader.readline()
        if not line:
            raise EOFError
        if line[3:4] != b"-":
            return line[:3]


def judge(account: Account) -> None:
    """Raises LabFailed if the promise was broken."""
    if account.lost:
        raise LabFailed(f"{len(account.lost)} acknowledged letters never came, such as {sorted(account.lost)[:3]}")
    if account.duplicates > account.in_flight:
        raise LabFailed(f"{account.duplicates} duplicates, but only {account.in_flight} letters were in flight")
