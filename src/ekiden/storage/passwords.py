"""Argon2Hasher: the PasswordHasher engine. Argon2id in a few threads of its own, with a bounded queue before them.

Rules
1. A check costs 19 MiB and about 30 ms of one CPU (m=19456, t=2, p=1: OWASP's and RFC 9106's region); argon2 releases
   the GIL, so the event loop goes on. Two CPUs do about 70 a second.
2. At most `threads` checks run and `waiting` wait. One more raises HasherBusy at once: whoever guesses passwords by the
   thousand may not make everybody else wait for minutes, nor take more memory than `threads` times 19 MiB.
3. A place is given back when the thread has really finished, not when its caller was cancelled.
4. `verify_nobody` computes over a hash of random octets, which no password fits: same work, same time.
5. Threads start with the first check, so an object made before a fork costs its children nothing.

Called by `accounts.login` and `accounts.book` through `ports.passwords`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from ekiden.ports.passwords import HasherBusy

MEMORY_KIB: Final = 19_456
TIME_COST: Final = 2
PARALLELISM: Final = 1
#: About a second and a half of waiting on two CPUs: less than any mail program's patience.
WAITING: Final = 100

T = TypeVar("T")


class Argon2Hasher:
    """`threads` 0: one a CPU, four at most. The costs are parameters so that tests need not spend them."""

    def __init__(
        self, *, threads: int = 0, waiting: int = WAITING, memory_kib: int = MEMORY_KIB, time_cost: int = TIME_COST
    ) -> None:
        threads = threads or min(4, os.cpu_count() or 1)
        self._places = threads + waiting
        self._taken = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._argon2 = argon2.PasswordHasher(time_cost, memory_kib, PARALLELISM, hash_len=32, salt_len=16)
        salt, digest = (base64.b64encode(os.urandom(n)).decode().rstrip("=") for n in (16, 32))
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={time_cost},p={PARALLELISM}${salt}${digest}"

    async def hash(self, password: str) -> str:
        """Raises HasherBusy too."""
        return await self._run(lambda: self._argon2.hash(_octets(password)))

    async def verify(self, encoded: str, password: str, *, known: bool = True) -> bool:
        return await self._run(lambda: self._matches(encoded, password))

    async def verify_nobody(self, password: str, *, known: bool = True) -> bool:
        """Raises HasherBusy, as `verify` does."""
        await self._run(lambda: self._matches(self._nobody, password))
        return False

    def close(self) -> None:
        """What waits is cancelled, what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._argon2.verify(encoded, _octets(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._taken >= self._places:
                raise HasherBusy(f"{self._taken} password checks are under way")
            self._taken += 1
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:  # closed: the process is ending
            self._give_back()
            raise HasherBusy("the server is stopping") from error
        future.add_done_callback(self._give_back)
        return await asyncio.wrap_future(future)

    def _give_back(self, _: Future[T] | None = None) -> None:
        with self._lock:
            self._taken -= 1


def _octets(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
