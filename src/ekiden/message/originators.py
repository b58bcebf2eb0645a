"""Who a letter says it is from: the mailboxes of From, Sender, Resent-From and Resent-Sender (RFC 5322 §3.6.2, §3.6.6).
Grade A.

Rules
1. There is one From field, with one or more mailboxes (RFC 5322 §3.6.2), and at most one Sender, with exactly one.
   `From :` counts as From (§4.5.1), so nothing hides behind a blank.
2. Each Resent-From and Resent-Sender counts, for each names who sent the letter on (§3.6.6).
3. All of them together hold at most MAX_OCTETS, and at most twice MAX_MAILBOXES.
4. What cannot be read in one way is a fault, not a guess (`message.addresses`).

Called by session for doors with a login; `policy.ownership` decides about the claims.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from ekiden.message.addresses import MAX_MAILBOXES, MAX_OCTETS, AddressFault, parse_addresses
from ekiden.message.header import HeaderSection
from ekiden.model.mailbox import Mailbox


class Claim(StrEnum):
    """Where somebody says who they are. The values are the names that people know."""

    REVERSE_PATH = "MAIL FROM"
    FROM = "From"
    SENDER = "Sender"
    RESENT_FROM = "Resent-From"
    RESENT_SENDER = "Resent-Sender"


class Originators(NamedTuple):
    """`claims`: who is named, and where. `fault`: what is wrong with the fields, '' if nothing; then `at` says with
    which, and `missing` whether it is not there at all."""

    claims: tuple[tuple[Claim, Mailbox], ...] = ()
    fault: str = ""
    at: Claim = Claim.FROM
    missing: bool = False


_OTHERS: Final = {b"sender": Claim.SENDER, b"resent-from": Claim.RESENT_FROM, b"resent-sender": Claim.RESENT_SENDER}


def read_originators(section: HeaderSection) -> Originators:
    """Never raises. The usual letter has From alone: one look at the names, one at the value."""
    value = section.first(b"from")
    if value is None:
        return Originators(fault="expected a From field", missing=True)
    if section.count(b"from") > 1:
        return Originators(fault="expected one From field")
    try:
        claims = tuple((Claim.FROM, mailbox) for mailbox in parse_addresses(value))
    except AddressFault as fault:
        return Originators(fault=str(fault))
    if b"sender" in section or b"resent-from" in section or b"resent-sender" in section:
        return _with_others(section, claims, len(value))
    return Originators(claims)


def _with_others(section: HeaderSection, claims: tuple[tuple[Claim, Mailbox], ...], octets: int) -> Originators:
    """`octets`: how many were read so far (rule 3)."""
    if section.count(b"sender") > 1:
        return Originators(fault="expected one Sender field", at=Claim.SENDER)
    for field in section:
        claim = _OTHERS.get(field.name)
        if claim is None:
            continue
        octets += len(field.value)
        if octets > MAX_OCTETS or len(claims) > 2 * MAX_MAILBOXES:
            return Originators(fault="expected fewer and shorter fields", at=claim)
        try:
            mailboxes = parse_addresses(field.value)
        except AddressFault as fault:
            return Originators(fault=str(fault), at=claim)
        if claim is not Claim.RESENT_FROM and len(mailboxes) > 1:
            return Originators(fault="expected one address", at=claim)
        claims += tuple((claim, mailbox) for mailbox in mailboxes)
    return Originators(claims)
