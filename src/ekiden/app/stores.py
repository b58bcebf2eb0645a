"""Opening the stores: the one place that says which engine stands behind a port, and where its files are.

    directory = open_directory(config)              # accounts and aliases; app calls `tick()` 4 times a second
    directory = open_directory(config, make=False)  # for looking: an empty one if there is none yet
    spool = open_spool(config, clock)               # a new incarnation; on one event loop
    slots = open_slots(config)                      # connections and rates, over all workers
    tally = open_tally(config, memory, worker)      # what guards count, over all workers
    reader = read_spool(config)                     # for looking, beside a running server
    events = read_events(config)                    # the same, for events
    counts = open_counts(config)                    # what was counted, by the hour
    board = read_board(config)                      # what workers say right now

Rules
1. Called after the fork: an open database must not be shared with a child.
2. A command that root started acts as `user` (`act_as_user`), or it would leave files that the server can not open.
3. A store that can not be used raises StoreRefused, one sentence for people, and nothing was changed.

Called by `app.compose` and by the commands.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from ekiden.app import data_folder, privileges
from ekiden.app.refusal import StartRefused
from ekiden.config.model import Config
from ekiden.ports.bans import Bans
from ekiden.ports.breached import BreachedPasswords
from ekiden.ports.clock import Clock
from ekiden.ports.directory import Directory
from ekiden.ports.events import EventSink
from ekiden.ports.known_pairs import KnownPairs
from ekiden.ports.known_recipients import KnownRecipients
from ekiden.ports.passwords import PasswordHasher
from ekiden.ports.tally import Tally
from ekiden.ports.usage import MailboxUsage

if TYPE_CHECKING:
    from ekiden.ports.counts import LiveBoard
    from ekiden.ports.event_store import EventStore
    from ekiden.storage.machine.road_file import RoadFile
    from ekiden.storage.machine.slots import MachineSlots
    from ekiden.storage.machine.tally_memory import TallyMemory
    from ekiden.storage.memory.spool import MemorySpool
    from ekiden.storage.sqlite.counts import SqliteCounts
    from ekiden.storage.sqlite.events import SqliteEventKeeper
    from ekiden.storage.sqlite.guard_file import SqliteGuardFile
    from ekiden.storage.sqlite.reading import ReadOnlySpool
    from ekiden.storage.sqlite.spool import SqliteSpool
    from ekiden.storage.sqlite.sts import SqliteStsMemory

#: Under `data_dir`.
DIRECTORY_FILE: Final = "directory.db"
LOGINS_FILE: Final = "logins.db"
RECIPIENTS_FILE: Final = "recipients.db"
BANS_FILE: Final = "bans.db"
STS_FILE: Final = "sts.db"
ROAD_FILE: Final = "road.json"
GUARDS_FILE: Final = "guards.db"
MAIL_FOLDER: Final = "mail"
SPOOL_FOLDER: Final = "spool"
SLOTS_FOLDER: Final = "slots"
GUARDS_FOLDER: Final = "guards"
SPOOL_FILE: Final = "spool.db"
EVENTS_FOLDER: Final = "events"
WATCH_FOLDER: Final = "watch"
#: How long a command waits for the store of events; the log has its event anyway.
COMMAND_PATIENCE: Final = 2.0


class StoreRefused(Exception):
    """`str()` is one sentence: which file, what is wrong, what would be right."""


class OpenDirectory(Directory, Protocol):
    """A Directory as the app holds it."""

    def tick(self) -> None:
        """At least four times a second, on the loop's thread. Raises what `on_change` callbacks raise."""

    def configure(self, *, postmaster: str, domains: Sequence[str]) -> None:
        """A new configuration: as the keys of the constructor."""

    def close(self) -> None: ...


class OpenKnownPairs(KnownPairs, Protocol):
    def close(self) -> None: ...


class OpenKnownRecipients(KnownRecipients, Protocol):
    def close(self) -> None: ...


class OpenBans(Bans, Protocol):
    def close(self) -> None: ...


class OpenTally(Tally, Protocol):
    """A Tally as the app holds it."""

    def start(self) -> None:
        """Keeps what is counted on disk from now on."""

    def close(self) -> None: ...


class OpenSink(EventSink, Protocol):
    def close(self) -> None: ...


class OpenHasher(PasswordHasher, Protocol):
    def close(self) -> None: ...


def open_directory(config: Config, *, make: bool = True) -> OpenDirectory:
    """Accounts and aliases of this server. `make` False: if there are none yet, an empty directory that stores
    nothing. Raises StoreRefused."""
    domains = tuple(domain.name for domain in config.domain)
    path = Path(config.data_dir, DIRECTORY_FILE)
    with _refusals(config, path):
        if not make and not _exists(path):
            from ekiden.storage.memory.directory import MemoryDirectory

            return MemoryDirectory(postmaster=config.postmaster, domains=domains)
        prepare_data_dir(config)
        from ekiden.storage.sqlite.directory import SqliteDirectory

        return SqliteDirectory(path, postmaster=config.postmaster, domains=domains)


def open_hasher() -> OpenHasher:
    """Argon2id in threads of its own, which start with the first check."""
    from ekiden.storage.passwords import Argon2Hasher

    return Argon2Hasher()


def open_known_pairs(config: Config, clock: Clock) -> OpenKnownPairs:
    """Who logged in from where, for a worker. On one event loop. Raises StoreRefused."""
    path = Path(config.data_dir, LOGINS_FILE)
    with _refusals(config, path):
        prepare_data_dir(config)
        from ekiden.storage.sqlite.known_pairs import SqliteKnownPairs

        return SqliteKnownPairs(path, clock)


def open_known_recipients(config: Config, clock: Clock, *, make: bool = True) -> OpenKnownRecipients:
    """Whom accounts have written to. `make` False: if nothing is there yet, one that stores nothing. On one event loop.
    Raises StoreRefused."""
    path = Path(config.data_dir, RECIPIENTS_FILE)
    with _refusals(config, path):
        if not make and not _exists(path):
            from ekiden.storage.memory.known_recipients import MemoryKnownRecipients

            return MemoryKnownRecipients()
        prepare_data_dir(config)
        from ekiden.storage.sqlite.known_recipients import SqliteKnownRecipients

        return SqliteKnownRecipients(path, clock)


def open_bans(config: Config, *, make: bool = True) -> OpenBans:
    """Who may not log in. `make` False: for looking; if there are none yet, none. On one event loop. Raises
    StoreRefused."""
    path = Path(config.data_dir, BANS_FILE)
    with _refusals(config, path):
        if not make and not _exists(path):
            from ekiden.storage.memory.bans import MemoryBans

            return MemoryBans()
        prepare_data_dir(config)
        from ekiden.storage.sqlite.bans import SqliteBans

        return SqliteBans(path)


def open_usage(config: Config, clock: Clock) -> MailboxUsage:
    """How much mailboxes hold, for commands. Makes nothing before it is asked for what is there."""
    from ekiden.storage.maildir.usage import MaildirUsage, at_once

    return MaildirUsage(Path(config.data_dir, MAIL_FOLDER), clock, at_once)


def open_sts(config: Config) -> SqliteStsMemory:
    """The MTA-STS policies of other domains, for a worker. On one event loop. Raises StoreRefused."""
    path = Path(config.data_dir, STS_FILE)
    with _refusals(config, path):
        prepare_data_dir(config)
        from ekiden.storage.sqlite.sts import SqliteStsMemory

        return SqliteStsMemory(path)


def has_guard_file(config: Config) -> bool:
    """Whether a server has made it. Raises StoreRefused."""
    path = Path(config.data_dir, GUARDS_FILE)
    with _refusals(config, path):
        return _exists(path)


def open_guard_file(config: Config) -> SqliteGuardFile:
    """What guards remember beyond counts, for a worker or a command. On one event loop. Raises StoreRefused."""
    path = Path(config.data_dir, GUARDS_FILE)
    with _refusals(config, path):
        prepare_data_dir(config)
        from ekiden.storage.sqlite.guard_file import SqliteGuardFile

        return SqliteGuardFile(path)


def open_road(config: Config) -> RoadFile:
    """What is known of the road to port 25, for workers and for commands. Opens nothing."""
    from ekiden.storage.machine.road_file import RoadFile

    return RoadFile(Path(config.data_dir, ROAD_FILE))


def open_breached(config: Config) -> BreachedPasswords | None:
    """The postmaster's list of breached passwords, if there is one."""
    if not config.passwords.breached_file:
        return None
    from ekiden.storage.breached_file import BreachedFile

    return BreachedFile(config.passwords.breached_file)


def open_spool(config: Config, clock: Clock, *, move_history: bool = True) -> SqliteSpool:
    """The queue, as a new incarnation. `move_history`: servers do, commands need not. Raises StoreRefused."""
    folder = Path(config.data_dir, SPOOL_FOLDER)
    with _refusals(config, folder):
        prepare_data_dir(config)
        from ekiden.storage.sqlite.spool import SqliteSpool

        return SqliteSpool.open(
            folder,
            clock,
            history_days=config.history.days,
            history_octets=config.history.octets,
            move_history=move_history,
        )


def open_slots(config: Config) -> MachineSlots:
    """Connections and rates of sites, for a worker. Raises StoreRefused."""
    folder = Path(config.data_dir, SLOTS_FOLDER)
    with _refusals(config, folder):
        prepare_data_dir(config)
        from ekiden.storage.machine.slots import MachineSlots

        return MachineSlots(folder)


def open_tally(config: Config, memory: TallyMemory, worker: int) -> OpenTally:
    """Counts of guards, for a worker; `memory` was made before the fork. Raises StoreRefused."""
    folder = Path(config.data_dir, GUARDS_FOLDER)
    with _refusals(config, folder):
        prepare_data_dir(config)
        from ekiden.storage.machine.tally import MachineTally

        return MachineTally(folder, memory, worker)


def read_spool(config: Config) -> ReadOnlySpool | MemorySpool:
    """The queue for looking; an empty one if there is none yet. Raises StoreRefused."""
    folder = Path(config.data_dir, SPOOL_FOLDER)
    with _refusals(config, folder):
        if not _exists(folder / SPOOL_FILE):
            from ekiden.app.clock import SystemClock
            from ekiden.storage.memory.spool import MemorySpool

            return MemorySpool(SystemClock())
        from ekiden.storage.sqlite.reading import ReadOnlySpool

        return ReadOnlySpool.open(folder)


def open_event_log(config: Config, clock: Clock, *, make: bool = True) -> OpenSink:
    """For commands: the same log as the server's, or the system's, and the store of events. `make` False: nothing will
    be told, so no file is opened. Raises StoreRefused."""
    from ekiden.app.direct_events import DirectEvents, OperatorEvents
    from ekiden.app.operator_log import OperatorLog

    with _refusals(config, Path(config.log.file)):
        log = OperatorLog(config.log.file if make else "", clock)
    store = DirectEvents(open_event_keeper(config, patience=COMMAND_PATIENCE), clock.now)
    return OperatorEvents(log, store)


def open_event_keeper(config: Config, *, patience: float | None = None) -> SqliteEventKeeper:
    """Where events go; opens nothing before the first of them. `patience`: see `storage.sqlite.events`, rule 2."""
    from ekiden.storage.sqlite.events import SqliteEventKeeper

    folder = Path(config.data_dir, EVENTS_FOLDER)
    return SqliteEventKeeper(folder, days=config.history.days, octets=config.events.octets, patience=patience)


def read_events(config: Config) -> EventStore:
    """The events for looking; nothing is in it if there is none yet. Raises StoreRefused."""
    folder = Path(config.data_dir, EVENTS_FOLDER)
    with _refusals(config, folder):
        from ekiden.storage.sqlite.events import SqliteEvents

        if _exists(folder):
            os.listdir(folder)  # or nobody would hear that it can not be read
        return SqliteEvents(folder)


def open_counts(config: Config) -> SqliteCounts:
    """What was counted, for a worker. On one event loop; opens nothing before the first call. Raises StoreRefused."""
    folder = Path(config.data_dir, WATCH_FOLDER)
    with _refusals(config, folder):
        prepare_data_dir(config)
        from ekiden.storage.sqlite.counts import SqliteCounts

        return SqliteCounts(folder)


def read_board(config: Config) -> LiveBoard:
    """What the workers of a running server say; nothing if there is none. Raises StoreRefused."""
    folder = Path(config.data_dir, WATCH_FOLDER)
    with _refusals(config, folder):
        from ekiden.storage.machine.board import FileBoard

        if _exists(folder):
            os.listdir(folder)  # or nobody would hear that it can not be read
        return FileBoard(folder)


def prepare_data_dir(config: Config) -> None:
    """Makes `data_dir`, for the service user alone, if it is missing; refuses somebody else's (`app.data_folder`).
    Raises OSError, StoreRefused."""
    folder = Path(config.data_dir)
    if _exists(folder) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreRefused(f"data_dir {folder} belongs to {_owner(folder)}{_hint(config)}")
    if why := data_folder.problem(config.data_dir, privileges.resolve(config.user)):
        raise StoreRefused(f"data_dir: {why}")
    if not _exists(folder):
        from ekiden.storage.sqlite.connection import sync_directory

        folder.mkdir(mode=0o700, parents=True)
        sync_directory(folder.parent)


def act_as_user(config: Config, *, make: bool = True) -> None:
    """Rule 2: gives up root for good, if there is a `user`; before that, `make`s `data_dir` and gives it to them.
    Raises StoreRefused."""
    folder = Path(config.data_dir)
    with _refusals(config, folder):
        identity = privileges.resolve(config.user)
        if not identity.changes:
            return
        _import_engines()
        if make and not _exists(folder):
            prepare_data_dir(config)
            os.chown(folder, identity.uid, identity.gid)
        privileges.become(identity)


def _import_engines() -> None:
    """Everything a command may need: `user` may not be able to read the folder that the program is in."""
    import encodings.unicode_escape  # noqa: F401 - for what is shown of strangers' text

    from ekiden.app import clock, direct_events, operator_log  # noqa: F401 - loaded while it can be
    from ekiden.storage import breached_file, passwords  # noqa: F401 - loaded while it can be
    from ekiden.storage.machine import board  # noqa: F401 - loaded while it can be
    from ekiden.storage.maildir import usage  # noqa: F401 - loaded while it can be
    from ekiden.storage.memory import (  # noqa: F401 - loaded while it can be
        bans,
        directory,
        known_recipients,
        spool,
    )
    from ekiden.storage.sqlite import bans as sqlite_bans  # noqa: F401 - loaded while it can be
    from ekiden.storage.sqlite import directory as sqlite_directory  # noqa: F401 - loaded while it can be
    from ekiden.storage.sqlite import events as sqlite_events  # noqa: F401 - loaded while it can be
    from ekiden.storage.sqlite import guard_file  # noqa: F401 - loaded while it can be
    from ekiden.storage.sqlite import known_recipients as sqlite_recipients  # noqa: F401 - loaded while it can be
    from ekiden.storage.sqlite import spool as sqlite_spool  # noqa: F401 - loaded while it can be


@contextmanager
def _refusals(config: Config, path: Path) -> Iterator[None]:
    from ekiden.storage.sqlite.connection import DatabaseRefused

    try:
        yield
    except StartRefused as error:
        raise StoreRefused(str(error)) from error
    except DatabaseRefused as error:
        raise StoreRefused(f"{error}{_hint(config)}") from error
    except OSError as error:
        raise StoreRefused(f"{error.filename or path}: {error.strerror}{_hint(config)}") from error


def _exists(path: Path) -> bool:
    """Raises OSError where that can not be seen: `Path.exists` says no in some versions of Python."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _hint(config: Config) -> str:
    """What to do about a file that may not be touched."""
    user = config.user
    if os.geteuid() == 0 or (user and user == _name(os.geteuid())):
        return ""
    return f"; run this as {user or 'the user the server runs as'}, or as root"


def _owner(path: Path) -> str:
    return _name(path.stat().st_uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
