"""How a forward-path is looked up among aliases and accounts: the order of `ports.directory`, once for all engines.

Order: exact alias, exact account, account without `+tag`, alias without tag, the configured postmaster (for
`postmaster` alone), the catch-all alias `@domain`, and for a postmaster nobody named: the oldest account.

RFC 5321 §4.5.1: mail to `postmaster` is always taken. If neither an account nor an alias nor the configuration names
who gets it, it is the oldest account of that domain, else the oldest of all: whoever set this server up. `<postmaster>`
without a domain is that of our first domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ekiden.model.account import DirectoryEntry, Standing
from ekiden.model.mailbox import Mailbox, domain_key, without_tag

UNKNOWN = DirectoryEntry(Standing.UNKNOWN)


class Rows(Protocol):
    """What an engine must be able to say, by exact name (mailbox key)."""

    def is_enabled(self, name: str) -> bool | None:
        """None: no such account."""

    def quota(self, name: str) -> int:
        """Of an account that there is."""

    def targets(self, name: str) -> tuple[str, ...]:
        """() if there is no such alias."""

    def oldest_account(self, domain: str) -> str:
        """Of one domain, or of all if `domain` is ''; '' if there is none."""


class Postmaster(NamedTuple):
    """`name`: the configured address in key form, or ''. `address`: as written, domain added. `domain`: our first."""

    name: str
    address: str
    domain: str


def postmaster_from(address: str, domains: Sequence[str]) -> Postmaster:
    """`address`: `Config.postmaster`, may be ''. `domains`: ours, in order."""
    local_part, at, domain = address.rpartition("@")
    if address and not at:
        local_part, domain = address, domains[0] if domains else ""
    mailbox = Mailbox(local_part, domain)
    first = domain_key(domains[0]) if domains else ""
    return Postmaster(mailbox.key, str(mailbox), first) if address else Postmaster("", "", first)


def find_entry(rows: Rows, mailbox: Mailbox, postmaster: Postmaster) -> DirectoryEntry:
    """The standing of a mailbox whose domain is ours."""
    domain = mailbox.domain_key or postmaster.domain
    local_key = mailbox.local_key
    plain = without_tag(local_key)
    entry = _exact(rows, f"{local_key}@{domain}")
    if entry is None and plain != local_key:
        entry = _account(rows, f"{plain}@{domain}") or _alias(rows, f"{plain}@{domain}")
    if entry is None and plain == "postmaster" and postmaster.name:
        entry = _exact(rows, postmaster.name) or DirectoryEntry(Standing.ALIAS, targets=(postmaster.address,))
    if entry is None:
        entry = _alias(rows, f"@{domain}")
    if entry is None and plain == "postmaster":
        entry = _account(rows, rows.oldest_account(domain) or rows.oldest_account(""))
    return entry or UNKNOWN


def _exact(rows: Rows, name: str) -> DirectoryEntry | None:
    return _alias(rows, name) or _account(rows, name)


def _account(rows: Rows, name: str) -> DirectoryEntry | None:
    enabled = rows.is_enabled(name) if name else None
    if enabled is None:
        return None
    return DirectoryEntry(Standing.ACCOUNT if enabled else Standing.DISABLED, account=name, quota=rows.quota(name))


def _alias(rows: Rows, name: str) -> DirectoryEntry | None:
    targets = rows.targets(name)
    return DirectoryEntry(Standing.ALIAS, targets=targets) if targets else None
