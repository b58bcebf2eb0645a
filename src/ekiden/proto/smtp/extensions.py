"""What a server announces in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1), as the client uses it.

Rules
1. Keywords are compared in upper case; parameters stay as written. Of a keyword that comes twice the first counts.
2. What cannot be understood is as if it were not there: an announcement never ends a session.
3. Used: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), CHUNKING (RFC 3030), DSN
   (RFC 3461), STARTTLS (RFC 3207), AUTH (RFC 4954), LIMITS (RFC 9422), MT-PRIORITY (RFC 6710).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: More letters than this a session is no limit.
UNLIMITED: Final = 1 << 62


def parse_hello(lines: Sequence[bytes]) -> tuple[str, dict[str, str]]:
    """The lines of a 250 (code included) -> the server's own name ('' if it gives none) and its extensions."""
    words = [line[4:].decode("utf-8", "replace") for line in lines]
    host, _, _ = words[0].strip().partition(" ")
    extensions: dict[str, str] = {}
    for announced in words[1:]:
        keyword, _, parameters = announced.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):
            # deviates RFC 4954 §3: servers from before RFC 2554 announce `AUTH=LOGIN`; test_client_extensions pins it.
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        if keyword and keyword.isprintable():
            extensions.setdefault(keyword, parameters.strip())
    return host if host.isprintable() else "", extensions


def parse_limits(parameters: str) -> dict[str, int]:
    """`RCPTMAX=100 MAILMAX=20` -> {'RCPTMAX': 100, 'MAILMAX': 20}; only those of RFC 9422 §4, at least 1."""
    limits: dict[str, int] = {}
    for parameter in parameters.split():
        name, _, value = parameter.partition("=")
        if name.upper() in ("RCPTMAX", "MAILMAX", "RCPTDOMAINMAX") and _is_number(value) and int(value) > 0:
            limits.setdefault(name.upper(), int(value))
    return limits


class Capabilities:
    """The announcement in the form the hot path asks it. `size_limit`: octets, 0 if there is none or it is not said.

    `mail_limit`: transactions a session; `recipient_limit`: recipients a transaction (UNLIMITED: not said)."""

    __slots__ = (
        "chunking",
        "dsn",
        "eight_bit",
        "mail_limit",
        "pipelining",
        "priority",
        "recipient_limit",
        "size",
        "size_limit",
        "smtputf8",
    )

    def __init__(self, extensions: dict[str, str]) -> None:
        self.pipelining = "PIPELINING" in extensions
        self.size = "SIZE" in extensions
        value = extensions.get("SIZE", "")
        self.size_limit = int(value) if _is_number(value) else 0
        self.eight_bit = "8BITMIME" in extensions
        self.smtputf8 = "SMTPUTF8" in extensions
        self.chunking = "CHUNKING" in extensions
        self.dsn = "DSN" in extensions
        self.priority = "MT-PRIORITY" in extensions
        limits = parse_limits(extensions.get("LIMITS", ""))
        self.mail_limit = limits.get("MAILMAX", UNLIMITED)
        self.recipient_limit = limits.get("RCPTMAX", UNLIMITED)


def _is_number(text: str) -> bool:
    """ASCII digits, and few enough to be a number of octets (RFC 1870 §3: 20 at most)."""
    return text.isascii() and text.isdigit() and len(text) <= 20
