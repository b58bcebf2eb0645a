"""Envelope, recipients and legs: what the spool keeps beside a letter's content.

Rules
1. Paths are kept as text in the written form; `reverse_path == ""` is the null reverse-path `<>`.
2. A *leg* is the recipients of one letter with one next-hop key: the unit of a claim (DESIGN §5). Its key is fixed
   when the letter is accepted and is pure (no DNS): see `policy.next_hop`.
3. `Origin` says how the letter came in; it never decides anything after acceptance, it is for the trail.
4. These are msgspec Structs: the engines store them as msgpack; fields are only ever added, with a default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from ekiden.model.ids import LetterId


class Notify(StrEnum):
    """NOTIFY of a recipient (RFC 3461 §4.1). An empty set means that the sender said nothing: FAILURE and DELAY."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Recipient(msgspec.Struct, array_like=True):
    """One forward-path of a leg, with its DSN wishes.

    `orcpt`: as given, `rfc822;user@example.org` in xtext-decoded form, or ''. `depth`: how many alias expansions led
    here (limit in delivery). `delay_reported`: a delay report was sent (at most one a recipient), or nobody wants one.
    `via`: where the postmaster sent it instead of the way that the configuration says (`smtp://192.0.2.1:25`), or ''.
    `possible_duplicates`: attempts whose end is not known, each of which may have brought him a copy. `rule`: the rule
    by which he was taken (`policy.relay`), '' for letters of our own.
    """

    forward_path: str
    notify: tuple[Notify, ...] = ()
    orcpt: str = ""
    depth: int = 0
    delay_reported: bool = False
    last_error: str = ""
    via: str = ""
    possible_duplicates: int = 0
    rule: str = ""


class Origin(msgspec.Struct, array_like=True):
    """How a letter came in. `tls`: such as `TLSv1.3 TLS_AES_256_GCM_SHA384`, or ''. `account`: the login, or ''."""

    door: str = ""
    session: int = 0
    client: str = ""
    helo: str = ""
    account: str = ""
    tls: str = ""
    protocol: str = "SMTP"


class Envelope(msgspec.Struct, array_like=True):
    """Everything of a letter but its content and recipients.

    `arrived`: seconds since 1970. `size_octets`: of the content as stored, trace fields included. `header_octets`: of
    the header section with the empty line that ends it. `ret`: FULL, HDRS or ''; `envid`: xtext-decoded (RFC 3461 §4.3,
    §4.4). `body`: 7BIT or 8BITMIME as declared at MAIL, or 8BITMIME if the content turned out to have 8-bit octets.
    `priority`: MT-PRIORITY as it was granted, from -9 to 9 (RFC 6710). `content_rules`: those that held or marked it.
    """

    reverse_path: str
    arrived: float
    origin: Origin
    size_octets: int = 0
    header_octets: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    message_id: str = ""
    is_report: bool = False
    priority: int = 0
    content_rules: tuple[str, ...] = ()


#: Next-hop keys. Local mailboxes and aliases of our accounts; `mx:DOMAIN`: by MX; `route:PATTERN`: the [[route]]
#: with that match; `via:URL`: where the postmaster rerouted it to.
LOCAL: Final = "local"
MX_PREFIX: Final = "mx:"
ROUTE_PREFIX: Final = "route:"
VIA_PREFIX: Final = "via:"


class NewLeg(msgspec.Struct):
    """A leg as `accept` and `record` take it. `flow`: account or sender domain, for fairness. `attempts`: of the leg
    that `record` expands, when its ways part; 0 for what is new. `hold_reason`: `accept` holds the letter with it (all
    its legs or none), and nothing is tried before it is released; '' for what goes its way."""

    next_hop: str
    recipients: list[Recipient]
    flow: str = ""
    priority: int = 0
    attempts: int = 0
    hold_reason: str = ""


#: How the `hold_reason` begins of what a person holds. What a rule holds has the rule's own words, and is not held for
#: ever (`[delivery] hold_expire`).
HELD_BY: Final = "held by "


class LegState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    HELD = "held"


class Leg(msgspec.Struct):
    """A leg that is queued. (`letter`, `number`) names it. `next_attempt`: seconds since 1970, or None while claimed
    or held.

    `attempts`: how many were made. `state` HELD: waits for a person (`hold_reason`).
    """

    letter: LetterId
    number: int
    next_hop: str
    recipients: list[Recipient]
    flow: str = ""
    priority: int = 0
    attempts: int = 0
    next_attempt: float | None = None
    state: LegState = LegState.WAITING
    hold_reason: str = ""
