"""How long an SMTP client waits for what (RFC 5321 §4.5.3.2), in seconds, each with its reason.

A wait is measured from the last progress: a whole reply of the server, or a block of content that the wire took. Single
octets are no progress, so a server that drips is cut off like one that is silent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Wait(StrEnum):
    """What the session waits for. The value is the word for people and the log."""

    GREETING = "the greeting"
    HELLO = "the answer to EHLO"
    STARTTLS = "the answer to STARTTLS"
    HANDSHAKE = "the TLS handshake"
    AUTH = "the answer to AUTH"
    RESET = "the answer to RSET"
    MAIL = "the answer to MAIL"
    RCPT = "the answer to RCPT"
    DATA = "the answer to DATA"
    BLOCK = "the server to take content"
    FINAL = "the answer to the content"
    QUIT = "the answer to QUIT"


SECONDS: Final[dict[Wait, float]] = {
    # §4.5.3.2.1: a busy server accepts the connection and delays its greeting.
    Wait.GREETING: 300.0,
    # Not named by the RFC; as MAIL, because servers look clients up in the DNS here.
    Wait.HELLO: 300.0,
    # Not named; nothing is looked up, so as DATA initiation.
    Wait.STARTTLS: 120.0,
    # `net` limits its handshakes itself and more tightly; this is the net below it.
    Wait.HANDSHAKE: 120.0,
    # Not named; as DATA initiation. A server that slows down guessing stays far below it.
    Wait.AUTH: 120.0,
    # Not named; as MAIL.
    Wait.RESET: 300.0,
    # §4.5.3.2.2
    Wait.MAIL: 300.0,
    # §4.5.3.2.3: lists and aliases may be expanded before the answer.
    Wait.RCPT: 300.0,
    # §4.5.3.2.4
    Wait.DATA: 120.0,
    # §4.5.3.2.5: for each block that is sent.
    Wait.BLOCK: 180.0,
    # §4.5.3.2.6: giving up too early here makes duplicates.
    Wait.FINAL: 600.0,
    # Not named; all letters are decided, so only politeness is at stake (as Postfix's smtp_quit_timeout, but shorter).
    Wait.QUIT: 10.0,
}
