"""The supervisor: holds the doors, forks the workers, and does nothing else.

Rules
1. No event loop, no thread, no open database: what it forks is clean. It imports everything, freezes it, then forks.
2. The first worker is waited for before the others are made, so that what cannot work is told once and nothing
   half-started stays behind; and stores are made or migrated by one process.
3. A worker that dies is made anew, with a pause that grows while workers die young. One that does not beat for
   `SILENCE_SECONDS` is killed. The others are told, so that they free its claims.
4. SIGTERM and SIGINT drain, a second one ends at once. SIGHUP reloads; what is wrong keeps the old configuration.
5. When the supervisor dies, however, the kernel closes its end of the order sockets, and the workers end.

Called by `app.serving`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ekiden.app.bells import Bells
from ekiden.app.heartbeat import Heartbeats, boot_time
from ekiden.app.orders import Frame, Order, render_pairs, render_reload, send
from ekiden.config.model import Config
from ekiden.model.events import Event, InternalFault, ServerChanged
from ekiden.net.certificates import Pair

#: A worker whose loop stands still for this long serves nobody.
SILENCE_SECONDS: Final = 30.0
#: If the supervisor itself did not run for so long (suspended, starved), nobody's silence counts.
ASLEEP_SECONDS: Final = 10.0
#: The pause before a worker that died young is made anew: this, then twice as long each time.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
#: A worker that lived so long did not die of its start.
GROWN_UP_SECONDS: Final = 60.0
#: What a worker may need beyond `limits.drain` to close its stores.
CLOSING_SECONDS: Final = 10.0
#: An order that a worker does not read in this time: its loop stands still.
ORDER_SECONDS: Final = 5.0
#: Exit status of a worker that cannot start (its reason is told): `EX_CONFIG` of sysexits.
CANNOT_START: Final = 78
#: How often the workers are looked after (signals wake us at once); often at the start, for the first one to be ready.
_TURN: Final = 0.5
_STARTING_TURN: Final = 0.01
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class SupervisorLog(Protocol):
    def emit(self, event: Event) -> None: ...

    def reopen(self, path: str = "") -> None: ...


class Certificates(Protocol):
    """`app.certificates`."""

    @property
    def pairs(self) -> tuple[Pair, ...]: ...

    def look(self) -> tuple[Pair, ...] | None: ...


@dataclass(slots=True)
class WorkerSlot:
    """One place for a worker. `pid` 0: nobody there; `due`: when it may be made anew (boot time)."""

    number: int
    pid: int = 0
    orders: socket.socket | None = None
    born: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    killed: bool = False


@dataclass(slots=True)
class Plan:
    """What the supervisor works with. `work(slot, config, orders, heartbeats, bells)` runs in the child and returns
    its exit status. `reload()`: the checked new configuration, whose certificates are taken then, or a text why not.
    `close_doors` is called when draining, `gone(slot)` when a worker is dead."""

    config: Config
    work: Callable[[int, Config, socket.socket, Heartbeats, Bells], int]
    reload: Callable[[Config], Config | str]
    close_doors: Callable[[], None]
    log: SupervisorLog
    certificates: Certificates
    gone: Callable[[int], None] = field(default=lambda slot: None)
    ready: Callable[[], None] = field(default=lambda: None)


class Supervisor:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._config = plan.config
        self._slots = [WorkerSlot(number) for number in range(plan.config.workers or os.cpu_count() or 1)]
        self._heartbeats = Heartbeats(len(self._slots))
        self._bells = Bells(len(self._slots))
        self._told_ready = False
        self._stopping = 0
        self._deadline = 0.0
        self._looked = boot_time()
        self._status = 0

    def run(self) -> int:
        """Until it is told to stop; the exit status."""
        gc.collect()
        gc.freeze()
        reader, writer = socket.socketpair()
        reader.setblocking(False)  # noqa: FBT003 - the library's form
        writer.setblocking(False)  # noqa: FBT003 - the same
        for number in _SIGNALS:
            signal.signal(number, _heard)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._fork(self._slots[0])
        while self._stopping == 0 or any(slot.pid for slot in self._slots):
            select.select([reader], [], [], _TURN if self._told_ready else _STARTING_TURN)
            self._handle_signals(reader)
            self._reap()
            self._look_after()
        self._tell("stopped")
        return self._status

    # ---- signals

    def _handle_signals(self, reader: socket.socket) -> None:
        heard = b""
        with contextlib.suppress(BlockingIOError):
            heard = reader.recv(4096)
        if signal.SIGHUP in heard and not self._stopping:
            self._reload()
        for number in heard:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()

    def _stop(self) -> None:
        self._stopping += 1
        if self._stopping > 1:
            self._signal_all(signal.SIGKILL)
            return
        self._deadline = boot_time() + self._config.limits.drain + CLOSING_SECONDS
        self._plan.close_doors()
        self._signal_all(signal.SIGTERM)
        self._tell("draining")
        _notify(b"STOPPING=1")

    def _reload(self) -> None:
        result = self._plan.reload(self._config)
        if isinstance(result, str):
            self._plan.log.reopen()
            self._order_all(Frame(Order.REOPEN_LOG))
            self._tell("reload-refused", result, level="error")
            return
        self._config = result
        self._plan.log.reopen(result.log.file)
        self._order_all(Frame(Order.RELOAD, render_reload(result, self._plan.certificates.pairs)))
        self._tell("reloaded")

    # ---- workers

    def _look_after(self) -> None:
        now = boot_time()
        asleep = now - self._looked > ASLEEP_SECONDS
        self._looked = now
        for slot in self._slots:
            if slot.pid:
                if asleep:
                    slot.born = now
                self._watch(slot, now)
        if self._stopping:
            if now >= self._deadline:
                self._signal_all(signal.SIGKILL)
            return
        if self._told_ready:
            if pairs := self._plan.certificates.look():
                self._order_all(Frame(Order.CERTIFICATES, render_pairs(pairs)))
            for slot in self._slots:
                if not slot.pid and now >= slot.due:
                    self._fork(slot)
        elif self._heartbeats.is_ready(0):
            self._told_ready = True
            for slot in self._slots[1:]:
                self._fork(slot)
            self._tell("started", pid=os.getpid())
            self._plan.ready()
            _notify(b"READY=1")

    def _watch(self, slot: WorkerSlot, now: float) -> None:
        last = max(self._heartbeats.last(slot.number), slot.born)
        if now - last > SILENCE_SECONDS and not slot.killed:
            slot.killed = True
            self._tell("worker-silent", f"no heartbeat for {now - last:.0f} s: killed", pid=slot.pid, level="error")
            os.kill(slot.pid, signal.SIGKILL)

    def _fork(self, slot: WorkerSlot) -> None:
        ours, theirs = socket.socketpair()
        self._heartbeats.begin(slot.number)
        # no signal may fall between the fork and the child's own handlers
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._be_worker(slot.number, theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        ours.settimeout(ORDER_SECONDS)
        slot.pid, slot.orders, slot.born, slot.killed = pid, ours, boot_time(), False
        self._tell("worker-started", pid=pid)

    def _be_worker(self, number: int, orders: socket.socket) -> None:
        """In the child; never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the supervisor decides
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for slot in self._slots:  # or the others would not see the supervisor die
                if slot.orders is not None:
                    slot.orders.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            status = self._plan.work(number, self._config, orders, self._heartbeats, self._bells)
        except BaseException as error:
            stack = traceback.format_exc()
            self._plan.log.emit(
                InternalFault(incident=os.urandom(8).hex(), where="worker", error=repr(error), stack=stack)
            )
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                self._buried(slot, status)

    def _buried(self, slot: WorkerSlot, status: int) -> None:
        pid, slot.pid = slot.pid, 0
        self._plan.gone(slot.number)
        if slot.orders is not None:
            slot.orders.close()
            slot.orders = None
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            if code:
                self._tell("worker-died", _render_status(code), pid=pid, level="warning")
            return
        self._tell("worker-died", _render_status(code), pid=pid, level="error")
        if not (self._told_ready or self._heartbeats.is_ready(slot.number)):  # rule 2
            if code != CANNOT_START:
                print("ekiden: the first worker died at its start; the log says why", file=sys.stderr)
            self._status = 1
            self._stop()
            return
        now = boot_time()
        lived = now - slot.born
        slot.pause = 0.0 if lived >= GROWN_UP_SECONDS else min(max(slot.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        slot.due = now + slot.pause
        self._order_all(Frame(Order.WORKER_DIED))

    def _order_all(self, frame: Frame) -> None:
        for slot in self._slots:
            if slot.pid and slot.orders is not None:
                try:
                    send(slot.orders, frame)
                except OSError as error:
                    self._tell("worker-silent", f"takes no orders ({error}): killed", pid=slot.pid, level="error")
                    os.kill(slot.pid, signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)

    def _tell(self, what: str, detail: str = "", *, pid: int = 0, level: str = "info") -> None:
        self._plan.log.emit(ServerChanged(what=what, detail=detail, pid=pid, level=level))


def _heard(number: int, frame: object) -> None:
    """Nothing: `set_wakeup_fd` has put the number where the loop reads it."""


def _render_status(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _notify(state: bytes) -> None:
    """sd_notify(3), if a service manager wants to know."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(address)
        connection.sendall(state)
