"""Argon2Hasher: the PasswordHasher engine. Argon2id in a few threads of its own, with a bounded queue before them.

Rules
1. A check costs 19 MiB and about 30 ms of one CPU (m=19456, t=2, p=1: OWASP's and RFC 9106's region); argon2 releases
   the GIL, so the event loop goes on. Two CPUs do about 70 a second.
2. At most `threads` checks run and a bounded number waits; who is known comes first (`storage.hashing_places`). One
   more raises HasherBusy at once: whoever guesses passwords by the thousand may not make everybody else wait for
   minutes, nor take more memory than `threads` times 19 MiB.
3. A place is given back when the thread has really finished, not when its caller was cancelled. Who was cancelled while
   waiting is not hashed.
4. `verify_nobody` computes over a hash of random octets, which no password fits: same work, same time.
5. Threads start with the first check, so an object made before a fork costs its children nothing.
6. The threads are nice to the rest of the process: where the CPUs are all busy, sessions go on and logins wait.

Called by `accounts.login` and `accounts.book` through `ports.passwords`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from ekiden.ports.passwords import HasherBusy
from ekiden.storage.hashing_places import Places

MEMORY_KIB: Final = 19_456
TIME_COST: Final = 2
PARALLELISM: Final = 1
#: Strangers' checks that wait: about three seconds on two CPUs, less than any mail program's patience.
STRANGERS: Final = 100
#: The others': six seconds, when a whole company comes to work.
KNOWN: Final = 400
#: A busy event loop gets nine tenths of a CPU that both want.
NICENESS: Final = 10

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], Any]
    future: Future[Any]


class Argon2Hasher:
    """`threads` 0: one a CPU, four at most. The costs are parameters so that tests need not spend them."""

    def __init__(
        self,
        *,
        threads: int = 0,
        known: int = KNOWN,
        strangers: int = STRANGERS,
        memory_kib: int = MEMORY_KIB,
        time_cost: int = TIME_COST,
    ) -> None:
        threads = threads or min(4, os.cpu_count() or 1)
        self._places: Places[_Job] = Places(threads, known=known, strangers=strangers)
        self._lock = threading.Lock()
        self._closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_be_nice)
        self._argon2 = argon2.PasswordHasher(time_cost, memory_kib, PARALLELISM, hash_len=32, salt_len=16)
        salt, digest = (base64.b64encode(os.urandom(n)).decode().rstrip("=") for n in (16, 32))
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={time_cost},p={PARALLELISM}${salt}${digest}"

    async def hash(self, password: str) -> str:
        """Raises HasherBusy too."""
        return await self._run(lambda: self._argon2.hash(_octets(password)), known=True)

    async def verify(self, encoded: str, password: str, *, known: bool = True) -> bool:
        return await self._run(lambda: self._matches(encoded, password), known=known)

    async def verify_nobody(self, password: str, *, known: bool = True) -> bool:
        """Raises HasherBusy, as `verify` does."""
        await self._run(lambda: self._matches(self._nobody, password), known=known)
        return False

    def close(self) -> None:
        """What waits is cancelled, what runs ends by itself."""
        with self._lock:
            self._closed = True
            dropped = self._places.drop_all()
        for job in dropped:
            job.future.cancel()
        self._pool.shutdown(wait=False)

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._argon2.verify(encoded, _octets(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T], *, known: bool) -> T:
        job = _Job(work, Future())
        with self._lock:
            if self._closed:
                raise HasherBusy("the server is stopping")
            if not self._places.ask(job, known=known):
                raise HasherBusy(f"{self._places.taken} password checks are under way")
            self._start()
        result: T = await asyncio.wrap_future(job.future)
        return result

    def _start(self) -> None:
        """Under the lock: hands the threads what may run now."""
        while not self._closed and (turn := self._places.next()) is not None:
            self._pool.submit(self._do, *turn)

    def _do(self, job: _Job, known: bool) -> None:  # noqa: FBT001 - a fact that goes along
        result, error = None, None
        wanted = job.future.set_running_or_notify_cancel()
        try:
            result = job.work() if wanted else None
        except BaseException as raised:  # whoever waits shall know
            error = raised
        with self._lock:  # before the answer: who asks again because of it finds the place free
            self._places.finished(known=known)
            self._start()
        if not wanted:
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)


def _be_nice() -> None:
    """Rule 6; on Linux niceness is a thread's."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _octets(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
