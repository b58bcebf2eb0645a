"""Accounts, aliases and what a lookup of a recipient can find.

Rules
1. An account's name is a mailbox of one of our domains in key form (`Mailbox.key`): it is the login, the mailbox and
   the owner's address at once.
2. A password is only ever kept as verifiers: Argon2id for PLAIN and LOGIN, SCRAM-SHA-256 beside it (RFC 5803 form). All
   secrets of an account share one SCRAM salt and iteration count.
3. `epoch` grows with every change that must end open sessions (password, disable, remove).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec


class ScramVerifier(msgspec.Struct, frozen=True):
    """RFC 5802 §3: StoredKey and ServerKey (32 octets each) for SHA-256; salt and iterations are the account's."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class Account(msgspec.Struct, frozen=True):
    """`created`, `changed`: seconds since 1970. `argon2`: an encoded Argon2id hash (PHC string form)."""

    name: str
    argon2: str
    scram: ScramVerifier
    enabled: bool = True
    epoch: int = 1
    created: float = 0.0
    changed: float = 0.0


class Alias(msgspec.Struct, frozen=True):
    """`name`: mailbox key, or `@domain` for a catch-all. `targets`: mailboxes as written, one or more."""

    name: str
    targets: tuple[str, ...]


class Standing(StrEnum):
    """What our own directory says about a forward-path."""

    ACCOUNT = "account"  # a mailbox of ours
    ALIAS = "alias"  # replaced by its targets at delivery
    UNKNOWN = "unknown"  # our domain, nobody of that name
    DISABLED = "disabled"  # an account that may not log in; it still receives


class DirectoryEntry(NamedTuple):
    """`account`: its name when ACCOUNT or DISABLED. `targets`: when ALIAS."""

    standing: Standing
    account: str = ""
    targets: tuple[str, ...] = ()
