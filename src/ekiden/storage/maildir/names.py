"""Names on disk: folders for accounts, file names for messages, and what other programs' file names tell. Pure.

Rules
1. An account's folder is `DOMAIN/LOCAL-PART` below the root; every octet but `a-z 0-9 - _ + =`, and dots that are not
   at the beginning, is written `%xx`. So no name has `/`, is `.` or `..`, or is hidden, and two accounts never share a
   folder.
2. A message of ours: `SECONDS.LETTER-RECIPIENT.ekiden,S=SIZE,W=SIZE`. Seconds: when the letter was accepted. RECIPIENT:
   a hash. All of it follows from the letter, so a repeated delivery finds the first (contract 1 of `ports.mailboxes`).
3. `S=` is the file's size (Maildir++), `W=` what RETR transmits (Dovecot's extension). `W=` is left out where the two
   differ from what Dovecot means by it: no CRLF at the very end, or lone LFs.
4. What follows `:` are flags, which mail programs change; the base name before it never changes.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from ekiden.model.ids import EPOCH_MS, LetterId, render_id

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_+=.")
#: Under the 255 octets of a file name on all usual file systems; longer ones keep a prefix and a hash.
MAX_FOLDER_NAME: Final = 200
#: RFC 1939 §7: a unique id has 1 to 70 characters from 0x21 to 0x7E.
MAX_UNIQUE_ID: Final = 70
_HOST: Final = "ekiden"


def account_folder(account: str) -> tuple[str, str]:
    """(domain, local part) of an account name in key form, as folder names."""
    local_part, at, domain = account.rpartition("@")
    if not at:
        local_part, domain = account, ""
    return _folder_name(domain), _folder_name(local_part)


def _folder_name(text: str) -> str:
    octets = text.encode("utf-8", "surrogatepass")
    name = "".join(chr(o) if o in _PLAIN and not (i == 0 and o == 0x2E) else f"%{o:02x}" for i, o in enumerate(octets))
    if len(name) > MAX_FOLDER_NAME:
        # `%%` arises nowhere else, so a shortened name never meets a whole one.
        name = f"{name[:100]}%%{hashlib.sha256(octets).hexdigest()[:40]}"
    return name or "%"


class Ticket(NamedTuple):
    """One (letter, recipient): `base` begins the file name, `key` is its line in the journal."""

    base: str
    key: str


def ticket(letter: LetterId, recipient: str) -> Ticket:
    digest = hashlib.sha256(recipient.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    key = f"{render_id(letter)}-{digest}"
    return Ticket(f"{((letter >> 22) + EPOCH_MS) // 1000}.{key}.{_HOST}", key)


def file_name(base: str, size: int, transmitted: int) -> str:
    """`transmitted`: what RETR sends without dot-stuffing; equal to `size` for all but odd content."""
    return f"{base},S={size},W={size}" if transmitted == size else f"{base},S={size}"


def base_of(name: str) -> str:
    return name.partition(":")[0]


def is_ours(base: str) -> bool:
    return base.partition(",")[0].endswith("." + _HOST)


def virtual_size(base: str) -> int | None:
    """The `W=` of a base name."""
    for part in base.split(",")[1:]:
        if part.startswith("W=") and part[2:].isascii() and part[2:].isdigit():
            return int(part[2:])
    return None


def unique_id(base: str) -> str:
    """Stable for the life of the file, whatever flags it gets: the base name, or its hash if that is no unique id."""
    if 1 <= len(base) <= MAX_UNIQUE_ID and all("\x21" <= c <= "\x7e" for c in base):
        return base
    return "h" + hashlib.sha256(base.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def order(base: str) -> tuple[int, str]:
    """Sort key: by delivery time (the seconds that Maildir names begin with), then by name."""
    seconds = base.partition(".")[0]
    return (int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) <= 12 else 0, base)
