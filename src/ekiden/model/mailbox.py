"""Mailbox: an address as it travels in the envelope (RFC 5321 §4.1.2, RFC 6531 §3.3).

Rules
1. `local_part` and `domain` are kept as they were written on the wire (quoted or not, letter case): what we pass
   on is what we were given (RFC 5321 §2.3.11: only the final host interprets a local part).
2. Comparing is done with `key` and `domain_key` alone, never with the written form.
3. The null reverse-path `<>` is no Mailbox: it is `None` where a path may be null.
4. `<postmaster>` without a domain (RFC 5321 §4.5.1) is `Mailbox("postmaster", "")`.

The grammar (bytes to Mailbox) is in `model.path`. This module never parses what comes from a wire.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import idna


class Mailbox(NamedTuple):
    """local-part and domain as written; `str()` gives the form for an envelope without angle brackets."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}" if self.domain else self.local_part

    @property
    def key(self) -> str:
        """The form under which two spellings of one mailbox meet: unquoted, lower case, A-label domain."""
        return _mailbox_key(self.local_part, self.domain)

    @property
    def local_key(self) -> str:
        """The local part unquoted and in lower case: how our own mailboxes are looked up."""
        return unquote_local_part(self.local_part).lower()

    @property
    def domain_key(self) -> str:
        """The domain in lower case, as A-labels, without a trailing dot; '' for `<postmaster>`."""
        return domain_key(self.domain)

    @property
    def needs_smtputf8(self) -> bool:
        """True if the address can only travel to a server that offers SMTPUTF8 (RFC 6531)."""
        return not (self.local_part.isascii() and self.domain.isascii())


def unquote_local_part(local_part: str) -> str:
    """`"a\\ b"` -> `a b`; what is not quoted comes back unchanged (RFC 5321 §4.1.2 Quoted-string)."""
    if not (len(local_part) >= 2 and local_part[0] == local_part[-1] == '"'):
        return local_part
    inner = local_part[1:-1]
    if "\\" not in inner:
        return inner
    out, escaped = [], False
    for character in inner:
        if character == "\\" and not escaped:
            escaped = True
            continue
        out.append(character)
        escaped = False
    return "".join(out)


@lru_cache(maxsize=8192)
def domain_key(domain: str) -> str:
    """Lower case, A-labels (RFC 5890), no trailing dot. A name that IDNA refuses is only lower-cased."""
    name = domain.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return name


@lru_cache(maxsize=8192)
def _mailbox_key(local_part: str, domain: str) -> str:
    return f"{unquote_local_part(local_part).lower()}@{domain_key(domain)}"


def address_key(text: str) -> str:
    """The key of an address that was checked before (an alias's target, a login): `Mailbox.key` from text."""
    local_part, _, domain = text.rpartition("@")
    return _mailbox_key(local_part, domain)


def without_tag(local_key: str, separator: str = "+") -> str:
    """`user+tag` -> `user`; a local part that begins with the separator is left alone."""
    head, found, _ = local_key.partition(separator)
    return head if found and head else local_key
