"""Accounts, aliases and what a lookup of a recipient can find.

Rules
1. An account's name is a mailbox of one of our domains in key form (`Mailbox.key`): it is the login, the mailbox and
   the owner's address at once.
2. A password is only ever kept as verifiers: Argon2id for PLAIN and LOGIN, SCRAM-SHA-256 beside it (RFC 5803 form). All
   secrets of an account share one SCRAM salt and iteration count.
3. `epoch` grows with every change that must end open sessions: whatever takes a right away, and what they would have
   to know anew (`send_as`).
4. An app password is made by us and never chosen, with more than 100 bits of chance: a plain SHA-256 is enough to keep
   it by, and checking one costs microseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec


class ScramVerifier(msgspec.Struct, frozen=True):
    """RFC 5802 §3: StoredKey and ServerKey (32 octets each) for SHA-256; salt and iterations are the account's."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


#: What an app password may be for: `submit` (587, 465) and `fetch` (POP3).
SCOPES: Final = ("submit", "fetch")

#: More than any person has devices; each SCRAM proof may have to be tried against all of them.
MAX_APP_PASSWORDS: Final = 100


class AppPassword(msgspec.Struct, frozen=True):
    """A password for one device or program; its secret is shown once and never kept.

    `id`: short, random, for lists and events. `digest`: `accounts.app_passwords.secret_digest`. `stored_key`,
    `server_key`: SCRAM-SHA-256 of the secret as shown, with the account's salt and count. `networks`: CIDR, () for
    anywhere. Times: seconds since 1970, 0 for never; `last_used` and `last_client` are coarse.
    """

    id: str
    name: str
    digest: bytes
    stored_key: bytes
    server_key: bytes
    scopes: tuple[str, ...] = SCOPES
    networks: tuple[str, ...] = ()
    created: float = 0.0
    expires: float = 0.0
    last_used: float = 0.0
    last_client: str = ""


class Account(msgspec.Struct, frozen=True):
    """Times are seconds since 1970. `argon2`: an encoded Argon2id hash (PHC string form).

    `send_as`: mailbox keys, or `@domain`, that the postmaster lets it send as beside its own. `app_passwords`: oldest
    first. `password_changed`: when the main password was set. `password_history`: Argon2id hashes of the passwords
    before, latest first. `profile`: how much it may send, '' as a person. `quota`: octets that its
    mailbox may hold, 0 any number, -1 as its domain says.
    """

    name: str
    argon2: str
    scram: ScramVerifier
    enabled: bool = True
    epoch: int = 1
    created: float = 0.0
    changed: float = 0.0
    app_passwords: tuple[AppPassword, ...] = ()
    send_as: tuple[str, ...] = ()
    password_changed: float = 0.0
    password_history: tuple[str, ...] = ()
    profile: str = ""
    quota: int = -1


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
    """`account`: its name when ACCOUNT or DISABLED, `quota`: its own. `targets`: when ALIAS."""

    standing: Standing
    account: str = ""
    targets: tuple[str, ...] = ()
    quota: int = -1
