"""Who the server runs as, and how root's power is given up.

Rules
1. Started as root with `user`: everything after binding the doors runs as that user, supervisor included. Doors change
   only by a restart, so nobody needs CAP_NET_BIND_SERVICE again, and nothing is kept.
2. The way back is closed: real, effective and saved ids are set, and `no_new_privs` stops set-uid programs.

Called by `app.serving`; `app.config_check` asks `can_read`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
from typing import Final, NamedTuple

from ekiden.app.refusal import StartRefused

_PR_SET_NO_NEW_PRIVS: Final = 38


class Identity(NamedTuple):
    """`changes`: we are root now and become somebody else."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    changes: bool

    def can_read(self, path: str) -> bool:
        """By the file's own bits; when we are already that user, as the kernel says."""
        if not self.changes:
            return os.access(path, os.R_OK)
        found = os.stat(path)
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IRUSR)
        if found.st_gid in (self.gid, *self.groups):
            return bool(found.st_mode & stat.S_IRGRP)
        return bool(found.st_mode & stat.S_IROTH)


def resolve(user: str) -> Identity:
    """`user`: as configured. Raises StartRefused if root is to become somebody who does not exist."""
    uid = os.geteuid()
    if uid != 0 or not user:
        return Identity(_name(uid), uid, os.getegid(), tuple(os.getgroups()), changes=False)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartRefused(
            f'user: there is no user "{user}"; make it: useradd --system --no-create-home {user}'
        ) from None
    groups = tuple(os.getgrouplist(user, entry.pw_gid))
    return Identity(user, entry.pw_uid, entry.pw_gid, groups, changes=entry.pw_uid != 0)


def become(identity: Identity) -> None:
    """Gives up root for good, if there is something to give up."""
    os.umask(0o077)
    if not identity.changes:
        return
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
