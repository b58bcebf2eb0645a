"""Load that smtp-source cannot make: at a fixed rate, under TLS, with a login; and how long each 250 took.

Rules
1. It runs as a process of its own, so that what it does is in nobody's figures: `pace` starts it and reads its answer.
2. The time of a letter runs from the final dot, handed to the kernel, to its 250.
3. At a fixed rate a letter has its moment, whatever became of those before it. Finds it no session free, it is sent
   late, and counted as late: a server that cannot keep the rate shows itself by that.
4. MAIL, RCPT and DATA go in one write (RFC 2920), the content when the 354 is there. Any reply but the usual one ends
   the run.

Used by the benchmark for every server alike.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

from ekiden.lab.server import LabFailed

#: How often a fixed rate looks at the clock.
_BEAT_SECONDS: Final = 0.001
#: A letter that begins so much after its moment is late.
_LATE_SECONDS: Final = 0.010


@dataclass(frozen=True)
class Load:
    """`rate`: letters a second, 0 as fast as they are taken. `kept`: many letters a connection. `login`: AUTH PLAIN
    after STARTTLS; `tls` alone: STARTTLS. `recipients`: in turn."""

    port: int
    letters: int
    recipients: tuple[str, ...] = ("someone@sink.test",)
    rate: float = 0.0
    sessions: int = 50
    size_octets: int = 4096
    kept: bool = True
    tls: bool = False
    login: str = ""
    password: str = ""
    sender: str = "sender@source.test"


@dataclass(frozen=True)
class Paced:
    """`began`: the monotonic time of the first letter, after kept sessions were opened; `seconds`: from then to the
    last 250. Milliseconds to 250. `late`: the share of letters that found no session free."""

    began: float
    seconds: float
    median_ms: float
    p99_ms: float
    longest_ms: float
    late: float
    p95_ms: float = 0.0


def pace(load: Load, seconds: float = 300.0) -> Paced:
    """Sends it from another process. Raises LabFailed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ekiden.lab.pacing"],
            input=json.dumps(asdict(load)),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabFailed(f"{load.letters} letters were not taken within {seconds:.0f} s") from None
    if done.returncode:
        raise LabFailed(f"the load was not taken: {done.stderr.strip().rpartition(chr(10))[2]}")
    return Paced(**json.loads(done.stdout))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


class Refused(Exception):
    """The server said something else than was expected."""


class _Lane(asyncio.Protocol):
    """One session. Replies go to `_waiter` while it is set up, and to the letter afterwards."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._waiter: asyncio.Future[bytes] | None = None
        self._early: deque[bytes] = deque()
        self._owed = 0  # replies before the content may go; -1: the content has gone
        self._content = b""
        self._sent = 0.0

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._reply(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._owed or (self._waiter is not None and not self._waiter.done()):
            self._run.fail(Refused(f"the connection was lost ({exc or 'closed'})"))

    # ---- setting up

    async def open(self, load: Load, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", load.port)
        await self._expect(b"220")
        await self._say(b"EHLO load.test", b"250")
        if load.tls or load.login:
            await self._say(b"STARTTLS", b"220")
            assert self._transport is not None
            self._transport = await loop.start_tls(self._transport, self, context, server_hostname="localhost")
            await self._say(b"EHLO load.test", b"250")
        if load.login:
            secret = base64.b64encode(f"\0{load.login}\0{load.password}".encode())
            await self._say(b"AUTH PLAIN " + secret, b"235")

    async def _say(self, command: bytes, code: bytes) -> None:
        self._write(command + b"\r\n")
        await self._expect(code)

    async def _expect(self, code: bytes) -> None:
        if self._early:
            line = self._early.popleft()
        else:
            self._waiter = asyncio.get_running_loop().create_future()
            line = await self._waiter
            self._waiter = None
        if not line.startswith(code):
            raise Refused(line.decode(errors="replace"))

    # ---- a letter

    def send(self, envelope: bytes, content: bytes) -> None:
        self._owed, self._content = 3, content
        self._write(envelope)

    def quit(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"QUIT\r\n")
            self._transport.close()

    def _reply(self, line: bytes) -> None:
        if not self._owed:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(line)
            else:
                self._early.append(line)
        elif self._owed == -1:
            self._expected(line, b"250")
            self._owed = 0
            self._run.taken(self, time.monotonic() - self._sent)
        elif self._owed == 1:
            self._expected(line, b"354")
            self._owed = -1
            self._sent = time.monotonic()
            self._write(self._content)
        else:
            self._expected(line, b"250")
            self._owed -= 1

    def _expected(self, line: bytes, code: bytes) -> None:
        if not line.startswith(code):
            self._run.fail(Refused(line.decode(errors="replace")))

    def _write(self, octets: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)


class _Run:
    """All letters of a load. `_free`: sessions, or with a connection a letter the right to open one."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._context = _context()
        self._free: deque[_Lane | None] = deque()
        self._begun = self._late = 0
        self._times: list[float] = []
        self._started = 0.0
        self._filler = _filler(load.size_octets)
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> Paced:
        await self._prepare()
        self._started = time.monotonic()
        self._go()
        await self._over
        seconds = time.monotonic() - self._started
        for lane in self._free:
            if lane is not None:
                lane.quit()
        times = [each * 1000 for each in self._times]
        longest, late = max(times, default=0.0), self._late / max(1, len(times))
        median, p95, p99 = (quantile(times, share) for share in (0.5, 0.95, 0.99))
        return Paced(self._started, seconds, median, p99, longest, late, p95)

    def taken(self, lane: _Lane, seconds: float) -> None:
        self._times.append(seconds)
        if self._load.kept:
            self._free.append(lane)
        else:
            lane.quit()
            self._free.append(None)
        if len(self._times) == self._load.letters and not self._over.done():
            self._over.set_result(None)
        elif not self._load.rate or self._behind() > _LATE_SECONDS:
            self._send_due()

    def fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    async def _prepare(self) -> None:
        if not self._load.kept:
            self._free.extend([None] * self._load.sessions)
            return
        for _ in range(self._load.sessions):
            lane = _Lane(self)
            await lane.open(self._load, self._context)
            self._free.append(lane)

    def _go(self) -> None:
        self._send_due()
        if self._load.rate and self._begun < self._load.letters:
            asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._go)

    def _behind(self) -> float:
        """How long the next letter's moment is past; negative: it is still to come."""
        return time.monotonic() - self._started - self._begun / self._load.rate

    def _send_due(self) -> None:
        load = self._load
        while self._free and self._begun < load.letters:
            if load.rate:
                behind = self._behind()
                if behind < 0:
                    return
                self._late += behind > _LATE_SECONDS
            number = self._begun
            self._begun += 1
            lane = self._free.popleft()
            if lane is None:
                self._spawn(number)
            else:
                lane.send(*self._letter(number))

    def _spawn(self, number: int) -> None:
        task = asyncio.get_running_loop().create_task(self._alone(number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _alone(self, number: int) -> None:
        lane = _Lane(self)
        try:
            await lane.open(self._load, self._context)
        except (Refused, OSError) as error:
            self.fail(error)
            return
        lane.send(*self._letter(number))

    def _letter(self, number: int) -> tuple[bytes, bytes]:
        load = self._load
        recipient = load.recipients[number % len(load.recipients)]
        envelope = f"MAIL FROM:<{load.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        header = (
            f"From: <{load.sender}>\r\nTo: <{recipient}>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{number}.{id(self):x}@source.test>\r\nSubject: letter {number}\r\n\r\n"
        )
        return envelope.encode(), header.encode() + self._filler


def _filler(octets: int) -> bytes:
    """A body that makes the letter about so large, with the final dot."""
    line = b"x" * 78 + b"\r\n"
    return line * max(1, (octets - 200) // len(line)) + b".\r\n"


def _context() -> ssl.SSLContext:
    """The lab's certificate is made by itself; its password is good for the lab alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _work(load: Load) -> Paced:
    return await _Run(load).work()


def main() -> None:
    """The other process: a Load on stdin, a Paced on stdout."""
    import uvloop

    fields: dict[str, Any] = json.load(sys.stdin)
    load = Load(**fields | {"recipients": tuple(fields["recipients"])})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(_work(load)))))


if __name__ == "__main__":
    main()
