"""The guards: what each is called, what it does, which event tells of it and which keys change it.

The one list of them. Their defaults are those of the configuration (`config.model`); docs/protection.md is made of both
(tools/protection_page.py). A guard's name is stable: events show it, and it is the rule that replies are looked up by.

A new guard: an entry here, its decision in a module of `policy` beside this one, its keys in `config.model`, its event.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Guard(NamedTuple):
    """`does`: sentences for postmasters. `keys`: of the configuration, '' without any. `event`: the event's name."""

    name: str
    does: str
    event: str
    keys: tuple[str, ...] = ()


CONNECTIONS_ADDRESS: Final = Guard(
    "connections-address",
    "One address has so many connections at once, at all doors and over all workers; further ones get 421. "
    "Exempt is who speaks for many: trusted networks, programs of this machine, gateways of this machine's networks.",
    "guard.acted",
    ("limits.connections_per_address", "relay.trusted_networks"),
)
CONNECTIONS_NETWORK: Final = Guard(
    "connections-network",
    "The same for a network: IPv4 /24, IPv6 /56.",
    "guard.acted",
    ("limits.connections_per_network", "relay.trusted_networks"),
)
CONNECTIONS_TOTAL: Final = Guard(
    "connections-total",
    "Connections at once, of each worker. The last tenth is kept for people who send: port 587 and 465.",
    "",
    ("limits.sessions",),
)
SLOW: Final = Guard(
    "slow-senders",
    "When over 80 % of a worker's places are taken, those at 25, 587 and 465 that have sent less than 10 octets a "
    "second over five minutes get 421, the oldest first. While there is room nobody is cut for that.",
    "session.closed",
    ("limits.sessions",),
)
TARPIT: Final = Guard(
    "tarpit",
    "Off. So long strangers wait for the refusal of a sender, a recipient, a login or a letter: whoever tries things "
    "out gets fewer tries. Each that waits holds a place.",
    "",
    ("limits.tarpit",),
)
LOGIN_GUESSES: Final = Guard(
    "login-guesses",
    "Different wrong logins within an hour from one address (IPv6: /64), at all doors; then logins from there are "
    "refused until fewer are left, and the connection ends. After three each further one waits longer, 5 seconds at "
    "most. Wider networks (/26 and /21, IPv6 /48 and /32) and a login that is guessed at from everywhere are only "
    "slowed, at four times as many. An account that came from the network (/24, IPv6 /48) within 90 days is never "
    "refused or slowed there, a stale password that is tried again and again is one guess, and mail on port 25 is "
    "never touched.",
    "guard.acted",
    ("limits.guesses",),
)
BANS: Final = Guard(
    "bans",
    "Who goes on logging in after it was refused for guessing, so many times within an hour, is banned: its address "
    "(IPv6: /64) finds 587, 465 and POP3 closed, before TLS; never port 25. The next ban lasts twice as long. An "
    "address whose network (/24, IPv6 /48) anybody logged in from within 90 days is never banned so, nor one that many "
    "share. `ekiden ban list`, `add` and `remove` show and change bans; they hold within a second.",
    "ban.set",
    ("limits.ban_after", "limits.ban_for"),
)
PREGREETING: Final = Guard(
    "pre-greeting",
    "On port 25 a client that was not seen within 30 days waits for the greeting; who talks before it gets 554. Not "
    "for trusted networks, private addresses, and doors with logins.",
    "caller.refused",
    ("callers.pause", "callers.exempt", "relay.trusted_networks"),
)
CALLERS: Final = Guard(
    "callers",
    "Reverse DNS and HELO name of a client on port 25 mark its letters if both are wrong; they never refuse alone. "
    "Lists of the DNS ([[dnsbl]]: none until the postmaster names one) refuse, put off or mark; a list that is not "
    "healthy counts nothing. The postmaster is always reached.",
    "caller.refused",
    ("callers.refuse_at", "callers.defer_at", "callers.mark_at", "callers.exempt", "dnsbl"),
)
GREYLISTING: Final = Guard(
    "greylisting",
    "An option: 450 to the first letter of an unknown network, sender and recipient on port 25. Networks that came "
    "back are trusted.",
    "recipient.refused",
    ("callers.greylist", "callers.greylist_delay"),
)
ERRORS: Final = Guard(
    "errors",
    "Syntax and sequence errors of a session, then 421.",
    "session.closed",
    ("limits.errors",),
)
COMMANDS: Final = Guard(
    "commands",
    "Commands of a session that bring no letter, then 421. A letter begins the count anew.",
    "session.closed",
    ("limits.commands",),
)
UNKNOWN_RECIPIENTS: Final = Guard(
    "unknown-recipients",
    "Recipients that do not exist, of a session; in an hour a network (IPv4 /24, IPv6 /48) has ten times as many. "
    "Further ones get 450 and learn no more; recipients that exist are taken as ever. Logins and trusted networks are "
    "exempt; where many share an address (a gateway, this machine) only the session counts.",
    "guard.acted",
    ("limits.unknown_recipients", "relay.trusted_networks"),
)
RELAY: Final = Guard(
    "relay-denied",
    "Strangers reach only our own domains, and recipients that exist there.",
    "recipient.refused",
    ("relay.trusted_networks",),
)
HOPS: Final = Guard(
    "hops",
    "A letter with so many Received fields goes round in circles: 554.",
    "letter.refused",
    ("limits.hops",),
)
SIZE: Final = Guard(
    "message-size",
    "The largest letter; larger ones get 552, before they are sent where the client asks.",
    "letter.refused",
    ("limits.message_size",),
)
RECIPIENTS: Final = Guard(
    "recipients",
    "Recipients a letter; further ones get 452 and can come in another transaction, and end no session.",
    "",
    ("limits.recipients",),
)
SENDING_LIMITS: Final = Guard(
    "sending-limits",
    "Messages and recipients a minute, hour and day, and recipients a message, of an account (profile person: 1,000 "
    "messages in 24 hours) and of an address of trusted networks (profile network: 10,000). Over it 450 says when to "
    "try again; what was taken is sent. At four fifths limit.near tells.",
    "limit.reached",
    ("profile", "relay.profile"),
)
FIRST_TIME_RECIPIENTS: Final = Guard(
    "first-time-recipients",
    "Recipients that an account never wrote to before (profile person: 200 in 24 hours); further ones get 450, known "
    "ones are taken. A stolen password sends to strangers. Imported recipients are known: ekiden account recipients "
    "import.",
    "limit.reached",
    ("profile",),
)
RECIPIENT_DOMAINS: Final = Guard(
    "recipient-domains",
    "Recipient domains that an account, a profile or a network may not send to, or the only ones that it may: 550 with "
    "the name of the restriction. None by default.",
    "recipient.refused",
    ("restrict",),
)
QUOTA: Final = Guard(
    "quota",
    "What a mailbox, and all mailboxes of a domain, may hold: 452 4.2.2 at RCPT when a letter does not fit; those "
    "that were taken wait. At nine tenths the owner gets a letter. Mail to the postmaster is always taken. Of one "
    "account: ekiden account quota.",
    "quota.full",
    ("domain",),
)
CONTENT_RULES: Final = Guard(
    "content-rules",
    "Letters that are refused (550, which names the rule), held or marked for what they hold: size, header fields, "
    "attachments by name and by what they are. No rule is there until you write one: see content-rules.md.",
    "letter.refused",
    ("content_rule",),
)

ANOMALIES: Final = Guard(
    "anomalies",
    "Refuses nobody: an hour with far more refusals, failed logins, bounces, waiting letters or mail than the same "
    "hour of the last weeks is told, and so is mail that stops. It needs two weeks to know what is usual. The "
    "postmaster gets a mail, once a day for each kind at most.",
    "anomaly.found",
    ("watch.anomaly_mail",),
)

BRAKE: Final = Guard(
    "brake",
    "An account that suddenly sends as if its password were stolen has its letters held until you decide "
    "(`ekiden brake`); you and the owner are told by mail. It takes two signals out of five: many new recipients from "
    "a new network, many that do not exist, logins from many networks within an hour, an hour at which it never sent, "
    "far more than on any day before; and 14 days and 50 letters to compare with. Of a newer account only the volume "
    "counts. What nobody decides about goes back to its sender.",
    "brake.set",
    ("brake.enabled", "brake.new_accounts", "brake.exempt", "delivery.hold_expire"),
)

GUARDS: Final = (
    RELAY,
    CONNECTIONS_ADDRESS,
    CONNECTIONS_NETWORK,
    CONNECTIONS_TOTAL,
    SLOW,
    TARPIT,
    LOGIN_GUESSES,
    BANS,
    BRAKE,
    UNKNOWN_RECIPIENTS,
    PREGREETING,
    CALLERS,
    GREYLISTING,
    ERRORS,
    COMMANDS,
    RECIPIENTS,
    SENDING_LIMITS,
    FIRST_TIME_RECIPIENTS,
    RECIPIENT_DOMAINS,
    QUOTA,
    SIZE,
    HOPS,
    CONTENT_RULES,
    ANOMALIES,
)
