"""`ekiden serve`: from a configuration file to a running server, in the order that leaves nothing behind if it fails.

    read and check → wait for the folder → bind the doors → make and lock the folder → give up root → open the log →
    supervise

Called by `cli.serve`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from ekiden.app import allocator, data_folder, privileges
from ekiden.app.bells import Bells
from ekiden.app.certificates import Certificates
from ekiden.app.clock import SystemClock
from ekiden.app.config_check import Finding, Weight, inspect
from ekiden.app.config_file import ConfigErrors, Loaded, load_with_lines
from ekiden.app.direct_events import DirectEvents, SupervisorEvents
from ekiden.app.doors import BoundDoors, addresses, bind_doors, close_doors
from ekiden.app.heartbeat import Heartbeats
from ekiden.app.refusal import StartRefused
from ekiden.app.stores import open_event_keeper
from ekiden.app.supervisor import Plan, Supervisor, SupervisorLog
from ekiden.config.model import RESTART_KEYS, Config
from ekiden.model.events import ServerChanged
from ekiden.storage.machine.tally_memory import TallyMemory
from ekiden.telemetry.log import DirectLog
from ekiden.telemetry.output import Output

#: What a worker needs, those modules included that others import when they are first called.
_LATE: Final = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "ekiden.app.worker",
    "ekiden.net.dns_query",
    "ekiden.storage.machine.slots",
    "ekiden.storage.machine.tally",
    "ekiden.storage.passwords",
    "ekiden.storage.sqlite.counts",
    "ekiden.storage.sqlite.directory",
    "ekiden.storage.sqlite.events",
    "ekiden.storage.sqlite.spool",
)
#: How long the supervisor waits for the store of events: a worker that stands still may hold it (seconds).
_PATIENCE: Final = 0.25
_LEVELS: Final = {Weight.WRONG: "warning", Weight.NOTE: "info"}


def serve(path: str, ready: Callable[[], None] = lambda: None) -> int:
    """Runs until it is stopped; the exit status. `ready` is called in the supervisor when the doors are open.

    Raises ConfigErrors and StartRefused before anything was changed."""
    loaded = load_with_lines(path)
    findings = _refuse(loaded, inspect(loaded, ports=False))
    config = loaded.config
    identity = privileges.resolve(config.user)
    data_folder.wait_until_free(config.data_dir)
    doors = bind_doors(config)
    try:
        lock = data_folder.claim(config.data_dir, identity)  # open as long as we, or a worker, live
        _import_everything()
        allocator.fix_limits()
        privileges.become(identity)
        log = _open_log(config)
        certificates = Certificates(config, log.emit, SystemClock().now, SystemClock().monotonic)
    except StartRefused:
        close_doors(doors)
        raise
    _tell_findings(log, findings)
    _tell_doors(log, doors)
    counts = TallyMemory(config.workers or os.cpu_count() or 1)
    plan = Plan(
        config=config,
        work=partial(_work, doors, certificates, counts),
        reload=partial(_reload, path, log, certificates),
        close_doors=partial(close_doors, doors),
        log=log,
        certificates=certificates,
        gone=counts.free,
        ready=ready,
    )
    status = Supervisor(plan).run()
    assert lock >= 0
    return status


def _import_everything() -> None:
    """Before the fork, so that workers share the pages; and before root is given up: our own code may lie where only
    root can read it."""
    for module in _LATE:
        importlib.import_module(module)
    with contextlib.suppress(ImportError):  # asyncio's own loop will do
        importlib.import_module("uvloop")


def _work(
    doors: BoundDoors,
    certificates: Certificates,
    counts: TallyMemory,
    slot: int,
    config: Config,
    orders: socket.socket,
    heartbeats: Heartbeats,
    bells: Bells,
) -> int:
    from ekiden.app.worker import Inheritance, run_worker

    shared = Inheritance(heartbeats, bells, counts, certificates.pairs)
    return run_worker(slot, config, doors, orders, shared)


def _refuse(loaded: Loaded, findings: list[Finding]) -> list[Finding]:
    """Raises ConfigErrors for what stops a server; gives back the rest."""
    stops = [finding.error for finding in findings if finding.weight is Weight.STOPS]
    if stops:
        raise ConfigErrors(loaded.path, stops)
    return findings


def _reload(path: str, log: SupervisorLog, certificates: Certificates, old: Config) -> Config | str:
    """The new configuration, with what only a restart changes left as it was; or why it cannot be used."""
    try:
        loaded = load_with_lines(path)
        running = _as_running(loaded, old)
        findings = _refuse(loaded, inspect(running, ports=False))
        certificates.take(running.config)
    except (ConfigErrors, StartRefused) as error:
        return str(error)
    changed = [key for key in RESTART_KEYS if getattr(loaded.config, key) != getattr(old, key)]
    for key in changed:
        log.emit(ServerChanged(what="reload-refused", detail=f"{key} has changed: needs a restart", level="warning"))
    _tell_findings(log, findings)
    return running.config


def _as_running(loaded: Loaded, old: Config) -> Loaded:
    kept = {key: getattr(old, key) for key in RESTART_KEYS}
    return loaded._replace(config=msgspec.structs.replace(loaded.config, **kept))


def _open_log(config: Config) -> SupervisorLog:
    """And the store of events. It knows `data_dir` alone, which no reload changes; workers drop old days."""
    clock = SystemClock()
    store = DirectEvents(open_event_keeper(config, patience=_PATIENCE), clock.now)
    return SupervisorEvents(DirectLog(_open_output(config), clock.now), store)


def _open_output(config: Config) -> Output:
    try:
        return Output(config.log.file)
    except OSError as error:
        raise StartRefused(f"log.file: {config.log.file}: {error.strerror}") from None


def _tell_findings(log: SupervisorLog, findings: list[Finding]) -> None:
    for weight, error in findings:
        text = f"{error.key}: {error.message}"
        log.emit(ServerChanged(what="configuration", detail=text, level=_LEVELS.get(weight, "error")))


def _tell_doors(log: SupervisorLog, doors: BoundDoors) -> None:
    text = "; ".join(f"{door} {', '.join(where)}" for door, where in addresses(doors).items())
    log.emit(ServerChanged(what="listening", detail=text))
