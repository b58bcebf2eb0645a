"""What a door announces and allows: the settings of an SMTP server machine, and the replies made from them.

Settings are made once a door and state (before TLS, after TLS, after login), not once a session; the replies that
depend on them are rendered once and remembered.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from ekiden.model.reply import Reply


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`auth_mechanisms`: announced and taken, in this order; () = AUTH is not offered. They are announced only when TLS
    is active or not required. `size_limit`: octets of content, 0 = none. `max_recipients`: a transaction.
    `error_limit`: the error of that number is answered 421; 0 = none. `command_limit`: the same for the commands since
    the last letter, recipients that were accepted left out, and as many that came beyond `max_recipients`.
    `lenient_lf`: bare LF in content becomes CRLF instead of a refusal. `lenient_paths`: angle brackets may be missing.
    `require_auth`: MAIL before AUTH gets 530. `require_tls`: MAIL and AUTH before TLS get 530. `no_auth_reply`: what
    AUTH gets where it is not offered. `lmtp`: LHLO instead of HELO and EHLO, and one reply a recipient after the
    content (RFC 2033)."""

    hostname: str
    offer_starttls: bool = False
    tls_active: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    size_limit: int = 0
    max_recipients: int = 1000
    error_limit: int = 10
    command_limit: int = 0
    lenient_lf: bool = False
    lenient_paths: bool = False
    require_auth: bool = False
    require_tls: bool = False
    lmtp: bool = False
    no_auth_reply: Reply | None = None

    @property
    def lacks_tls(self) -> bool:
        """TLS is required and not there yet."""
        return self.require_tls and not self.tls_active


@lru_cache(maxsize=64)
def greeting_reply(settings: ServerSettings) -> Reply:
    return Reply(220, "", f"{settings.hostname} {'LMTP' if settings.lmtp else 'ESMTP'} Ekiden")


@lru_cache(maxsize=64)
def helo_reply(settings: ServerSettings) -> Reply:
    return Reply(250, "", settings.hostname)


@lru_cache(maxsize=64)
def ehlo_reply(settings: ServerSettings) -> Reply:
    """RFC 5321 §4.1.1.1, with an extension a line."""
    lines = [
        settings.hostname,
        "PIPELINING",  # RFC 2920
        f"SIZE {settings.size_limit}",  # RFC 1870
        "8BITMIME",  # RFC 6152
        "SMTPUTF8",  # RFC 6531
        "ENHANCEDSTATUSCODES",  # RFC 2034
        "CHUNKING",  # RFC 3030
        "DSN",  # RFC 3461
        "MT-PRIORITY",  # RFC 6710
        f"LIMITS RCPTMAX={settings.max_recipients}",  # RFC 9422
    ]
    if settings.offer_starttls and not settings.tls_active:
        lines.append("STARTTLS")  # RFC 3207
    if settings.auth_mechanisms and not settings.lacks_tls:
        lines.append("AUTH " + " ".join(settings.auth_mechanisms))  # RFC 4954
    return Reply(250, "", *lines)


@lru_cache(maxsize=64)
def mechanisms_reply(settings: ServerSettings) -> Reply:
    """RFC 4954 §4: what a mechanism gets that is not offered."""
    return Reply(504, "5.5.4", "Mechanism not offered; these are: " + " ".join(settings.auth_mechanisms))
