"""A worker: one process, one event loop, all doors, its share of delivery.

Rules
1. Everything is opened after the fork (stores, loop, threads).
2. It beats once a turn of its clock; a loop that stands still is seen by the supervisor.
3. SIGTERM, or the end of the order stream (the supervisor is gone), drains: no new sessions, transactions and
   attempts under way finish, then everything is closed in good order.
4. A configuration that cannot be used is told, and the old one stays.

Called by `app.serving` in the child that `app.supervisor` forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ekiden.app.bells import Bells, WorkerBell
from ekiden.app.clock import SystemClock
from ekiden.app.compose import Works
from ekiden.app.heartbeat import Heartbeats, WorkerBalance
from ekiden.app.orders import Frame, Order, OrderReader, parse_pairs, parse_reload
from ekiden.app.refusal import StartRefused
from ekiden.app.stores import StoreRefused, open_event_keeper, open_tally
from ekiden.app.supervisor import CANNOT_START
from ekiden.app.watching import Watching
from ekiden.config.model import Config
from ekiden.model.door import Door
from ekiden.model.events import ServerChanged
from ekiden.net.certificates import Pair
from ekiden.policy.login_network import login_network
from ekiden.storage.machine.tally_memory import TallyMemory
from ekiden.telemetry.counting import CountingSink
from ekiden.telemetry.counts import LiveCounts
from ekiden.telemetry.guessers import Guessers
from ekiden.telemetry.keeping import Both, StoredEvents
from ekiden.telemetry.log import JsonLog
from ekiden.telemetry.output import Output

#: `Directory.tick` four times a second: a revoked login ends within one (invariant 4).
TICK_SECONDS: Final = 0.25
TICKS_A_SECOND: Final = 4
#: How long a worker without a supervisor goes on: another server may be waiting for our folder and ports.
ORPHAN_SECONDS: Final = 3.0


class Inheritance(NamedTuple):
    """What a worker has from the supervisor, made before the fork. `pairs`: certificates with their keys."""

    heartbeats: Heartbeats
    bells: Bells
    counts: TallyMemory
    pairs: tuple[Pair, ...]


def run_worker(
    slot: int,
    config: Config,
    sockets: Mapping[Door, Sequence[socket.socket]],
    orders: socket.socket,
    shared: Inheritance,
) -> int:
    """The process's exit status."""
    _raise_descriptor_limit()
    now = SystemClock().now
    log = JsonLog(Output(config.log.file), now)
    store = StoredEvents(open_event_keeper(config), now, log.emit)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_Worker(slot, config, orders, shared, log, store).work(sockets))
    except (StartRefused, StoreRefused) as error:
        print(f"ekiden: {error}", file=sys.stderr)
        return CANNOT_START
    finally:
        store.close()
        log.close()


class _Worker:
    def __init__(
        self,
        slot: int,
        config: Config,
        orders: socket.socket,
        shared: Inheritance,
        log: JsonLog,
        store: StoredEvents,
    ) -> None:
        self._slot = slot
        self._config = config
        self._orders = orders
        self._shared = shared
        self._heartbeats = shared.heartbeats
        self._log = log
        self._store = store
        self._counts = LiveCounts()
        self._guessers = Guessers(login_network)
        self._events = CountingSink(Both(log, store), self._counts, self._guessers)
        self._reader = OrderReader()
        self._stop = asyncio.Event()
        self._within = config.limits.drain
        self._ready = False
        self._ticks = 0
        self._last_fault = ""
        self._timer: asyncio.TimerHandle | None = None
        self._works: Works
        self._watching: Watching

    async def work(self, sockets: Mapping[Door, Sequence[socket.socket]]) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        shared = self._shared
        bell, balance = WorkerBell(*shared.bells.of(self._slot)), WorkerBalance(self._heartbeats, self._slot)
        tally = open_tally(self._config, shared.counts, self._slot)
        works = self._works = Works(self._config, shared.pairs, self._events, bell, tally, balance, self._counts)
        self._watching = Watching(self._config, self._slot, works, self._counts, self._guessers)
        loop.set_exception_handler(self._loop_fault)
        self._orders.setblocking(False)  # noqa: FBT003 - the library's form
        loop.add_reader(self._orders, self._read_orders)
        await works.start()
        self._ready = True
        self._tick()
        await works.open_doors(sockets)
        await self._stop.wait()
        try:
            await works.drain(self._within)
        except Exception as error:
            works.report("drain", error)
        await self._watching.close()
        await works.close()
        loop.remove_reader(self._orders)
        if self._timer is not None:
            self._timer.cancel()
        return 0

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        self._heartbeats.beat(self._slot, ready=self._ready)
        self._ticks += 1
        try:
            self._works.refresh_bans()
            self._works.directory.tick()
            if self._ticks % TICKS_A_SECOND == 0:
                self._works.tick(self._works.clock.monotonic())
                self._watching.tick()
            self._last_fault = ""
        except Exception as error:
            if repr(error) != self._last_fault:  # once, not four times a second
                self._works.report("tick", error)
            self._last_fault = repr(error)

    def _read_orders(self) -> None:
        try:
            data = self._orders.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # rule 3
            asyncio.get_running_loop().remove_reader(self._orders)
            self._within = min(self._within, ORPHAN_SECONDS)
            self._stop.set()
            return
        for frame in self._reader.feed(data):
            self._works.spawn(self._obey(frame), f"order {frame.order.name}")

    async def _obey(self, frame: Frame) -> None:
        match frame.order:
            case Order.RELOAD:
                fresh = parse_reload(frame.payload)
                await self._reload(fresh.config, fresh.pairs)
            case Order.CERTIFICATES:
                self._works.take_certificates(parse_pairs(frame.payload))
            case Order.REOPEN_LOG:
                self._log.reopen()
            case Order.WORKER_DIED:
                await self._works.free_dead_claims()

    async def _reload(self, config: Config, pairs: tuple[Pair, ...]) -> None:
        try:
            await self._works.reload(config, pairs)
        except StartRefused as error:
            self._events.emit(ServerChanged(what="reload-refused", detail=str(error), level="error"))
            self._log.reopen()
            return
        self._within = config.limits.drain
        self._store.keep(config.history.days, config.events.octets)
        self._log.reopen(config.log.file)

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = str(context.get("message", ""))
        self._works.report(f"loop: {message}", error if isinstance(error, BaseException) else RuntimeError(message))


def _loop_factory() -> Any:
    """uvloop, or asyncio's own where there is none."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _raise_descriptor_limit() -> None:
    """Each connection is a descriptor, and the usual soft limit of 1,024 is for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
