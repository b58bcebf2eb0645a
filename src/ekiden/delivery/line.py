"""A line: one connection's place in its site, from before it is opened until it is closed.

It is the `tag` of its `SmtpConnection`. Made by `opening`, kept by `site`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ekiden.delivery.attempt import RECIPIENTS
from ekiden.delivery.budget import Place
from ekiden.delivery.road import Host
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.reply import Reply
from ekiden.policy.site_rules import SiteRules
from ekiden.ports.slots import Slot
from ekiden.ports.wire import TlsFacts

#: However many recipients a peer says it takes in one transaction.
MOST_RECIPIENTS: Final = 1000


class Berth:
    """What a connection needs before it may be opened: room in this worker, and a slot of its site. Given back when it
    was not opened, or is closed. `task`: what opens it; `is_cut`: others need the room."""

    __slots__ = ("is_cut", "place", "slot", "task")

    def __init__(self) -> None:
        self.place: Place | None = None
        self.slot: Slot | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True
        if self.task is not None:
            self.task.cancel()


class Line:
    """`remote`, `where`: the host, for outcomes and for people; set when the session is ready, as is `tls`.
    `opened`: None when the session is ready, a reply when it was refused or lost, and the connection has closed.
    `refusal`: what the peer said to the session."""

    __slots__ = (
        "berth",
        "feeding",
        "host",
        "idle_since",
        "letters",
        "most_letters",
        "most_recipients",
        "opened",
        "refusal",
        "remote",
        "tls",
        "where",
    )

    def __init__(self, host: Host, opened: asyncio.Future[Reply | None], berth: Berth) -> None:
        self.host = host
        self.opened = opened
        self.refusal: Reply | None = None
        self.berth = berth
        self.idle_since = 0.0
        self.letters = 0
        self.most_letters = 1
        self.most_recipients = RECIPIENTS
        self.feeding = False
        self.tls = ""
        self.remote = ""
        self.where = ""


def line_of(connection: SmtpConnection) -> Line:
    line = connection.tag
    assert isinstance(line, Line)
    return line


def protection(tls: TlsFacts | None, host: Host) -> str:
    """How a session is protected, and by what that was proven; for the trail. '' in the clear as usual."""
    if tls is None:
        return "none: its TLS handshake failed" if host.is_plain else ""
    proven = f", name proven by {tls.proof}" if tls.proof else ""
    policy = f", for {host.policy}" if host.policy not in ("", tls.proof) else ""
    return f"{tls}{proven}{policy}"


def limits(extensions: dict[str, str], rules: SiteRules) -> tuple[int, int]:
    """Letters a connection and recipients a transaction: what the rules allow, and no more than LIMITS announces
    (RFC 9422 §4: MAILMAX, RCPTMAX). A server that announces more than the usual 100 recipients gets more, unless a
    `[[site]]` has the word."""
    letters, recipients = rules.letters_per_connection, rules.recipients_per_transaction
    for word in extensions.get("LIMITS", "").split():
        name, _, value = word.partition("=")
        if not (value.isascii() and value.isdigit() and int(value[:9]) > 0):
            continue
        number = int(value[:9])
        if name.upper() == "MAILMAX":
            letters = min(number, letters)
        elif name.upper() == "RCPTMAX":
            recipients = min(number, recipients if rules.name else MOST_RECIPIENTS)
    return letters, recipients
