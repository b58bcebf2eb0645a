"""The data folder: ours, for us alone, and for one server at a time.

Rules
1. A folder that has something in it and was not made by Ekiden is refused: nothing of somebody else's is ever written
   to.
2. It belongs to the service user, with mode 0700.
3. A server holds a lock on the marker file as long as one of its processes lives; a second server on the same folder is
   refused. Commands (`ekiden account`, `ekiden queue`) do not take it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from ekiden.app.privileges import Identity
from ekiden.app.refusal import StartRefused

MARKER: Final = ".ekiden"
#: What commands may have made before the first start.
_OURS: Final = frozenset({MARKER, "directory.db", "bans.db", "recipients.db", "guards.db", "spool", "mail"})
#: After a supervisor was killed its workers need a moment to go; a server that is started at once waits for them.
WAIT_SECONDS: Final = 5.0


def problem(folder: str, identity: Identity) -> str:
    """Why `folder` cannot be our data folder, or ''. Changes nothing."""
    path = Path(folder)
    if not path.exists():
        return _cannot_make(path)
    if not path.is_dir():
        return f"{path} is no folder"
    owner = path.stat().st_uid
    if owner != identity.uid:
        return f"{path} belongs to user {owner}, not to {identity.name} ({identity.uid}); chown it or name another"
    try:
        names = set(os.listdir(path))
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if names and not names & _OURS:
        return f"{path} is not ours: it has something in it that Ekiden did not make; name a new or an empty folder"
    return ""


def is_in_use(folder: str) -> bool:
    """True if a server runs on it."""
    try:
        descriptor = os.open(os.path.join(folder, MARKER), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_free(folder: str) -> None:
    """Raises StartRefused if a server still runs on it after `WAIT_SECONDS`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while is_in_use(folder):
        if time.monotonic() >= deadline:
            raise StartRefused(f"data_dir: {folder} is in use: {_holder(folder)}; stop it first")
        time.sleep(0.05)


def claim(folder: str, identity: Identity) -> int:
    """Makes the folder if need be, and locks it; the descriptor must stay open. Raises StartRefused."""
    path = Path(folder)
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
            if identity.changes:
                os.chown(path, identity.uid, identity.gid)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
        descriptor = os.open(path / MARKER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if identity.changes:
            os.fchown(descriptor, identity.uid, identity.gid)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"Ekiden's data folder. Server process: {os.getpid()}\n".encode())
    except BlockingIOError:
        raise StartRefused(f"data_dir: {folder} is in use: {_holder(folder)}") from None
    except OSError as error:
        raise StartRefused(f"data_dir: {error.filename or folder}: {error.strerror}") from None
    return descriptor


def _holder(folder: str) -> str:
    try:
        pid = Path(folder, MARKER).read_text().rpartition(":")[2].strip()
    except OSError:
        pid = ""
    return f"a server runs on it (process {pid})" if pid.isdigit() else "a server runs on it"


def _cannot_make(path: Path) -> str:
    parent = next(p for p in path.parents if p.exists())
    if not parent.is_dir():
        return f"{parent} is no folder"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"{path} does not exist, and we may not make it in {parent}; make it, or run this as root"
    return ""
