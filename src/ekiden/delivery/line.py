"""A line: one connection's place in its site, from before it is opened until it is closed.

It is the `tag` of its `SmtpConnection`. Made by `opening`, kept by `site`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ekiden.delivery.attempt import RECIPIENTS
from ekiden.delivery.routing import Host
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.reply import Reply

#: However many recipients a peer says it takes in one transaction.
MOST_RECIPIENTS: Final = 1000
#: Letters of one connection: then a new one spreads the load over the hosts anew.
LETTERS: Final = 1000


class Line:
    """`opened`: None when the session is ready, a reply when refused or lost."""

    __slots__ = ("feeding", "host", "idle_since", "letters", "most_letters", "most_recipients", "opened", "tls")

    def __init__(self, host: Host, opened: asyncio.Future[Reply | None]) -> None:
        self.host = host
        self.opened = opened
        self.idle_since = 0.0
        self.letters = 0
        self.most_letters = LETTERS
        self.most_recipients = RECIPIENTS
        self.feeding = False
        self.tls = ""


def line_of(connection: SmtpConnection) -> Line:
    line = connection.tag
    assert isinstance(line, Line)
    return line


def limits(extensions: dict[str, str]) -> tuple[int, int]:
    """Letters a connection and recipients a transaction by LIMITS (RFC 9422 §4: MAILMAX, RCPTMAX), else ours."""
    letters, recipients = LETTERS, RECIPIENTS
    for word in extensions.get("LIMITS", "").split():
        name, _, value = word.partition("=")
        if not (value.isascii() and value.isdigit() and int(value[:9]) > 0):
            continue
        if name.upper() == "MAILMAX":
            letters = min(int(value[:9]), LETTERS)
        elif name.upper() == "RCPTMAX":
            recipients = min(int(value[:9]), MOST_RECIPIENTS)
    return letters, recipients
