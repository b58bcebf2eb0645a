"""The detour: a smarthost for the time when port 25 is blocked (`[delivery.detour]`), and what it says of our senders.
Pure.

Rules
1. It is a route in all but its table: `detour_route` gives what every rule about routes takes.
2. A provider lets its customer send by the customer's addresses alone. When it refuses one of ours for good, nothing is
   wrong with the letter or its recipient: it is held, and the postmaster is told (`is_about_sender`). A refusal of MAIL
   is about the sender, unless its code says otherwise; of RCPT or the content only by its code or its words.

Called by the configuration's check and by delivery.
"""

from __future__ import annotations

from typing import Final

from ekiden.config.model import Config, Route
from ekiden.model.reply import Reply
from ekiden.policy.target import Target, parse_target

#: No route can have this name, so logins of routes and the detour's can be kept together.
DETOUR: Final = "[delivery.detour]"
BLOCKED_PORT: Final = 25

#: RFC 3463 §3.2 (x.1.7, x.1.8: the sender's address), RFC 7372 §3.2 (SPF), RFC 7505 §4.2 (x.7.27).
_ABOUT_SENDER: Final = frozenset({"1.7", "1.8", "7.23", "7.27"})
#: Of MAIL: size (x.3.4), a full system or what the server cannot do: of the letter, not of its sender.
_ABOUT_LETTER: Final = ("3.", "5.", "6.")
#: As Postfix, Exim, Exchange and large providers write it.
_WORDS: Final = (
    "sender address rejected",
    "sender verify failed",
    "sender denied",
    "sender rejected",
    "not owned by",
    "not allowed to send",
    "not permitted to send",
    "not authorized to send",
    "not authorised to send",
    "permissions to send as",
    "send as this sender",
    "sendasdenied",
    "sender is not",
    "invalid sender",
    "envelope-from",
    "return-path",
    "from address",
    "from header",
    "from domain",
)


def detour_route(config: Config) -> Route | None:
    """None: there is none."""
    detour = config.delivery.detour
    if not detour.to:
        return None
    return Route(
        match="*",
        name=DETOUR,
        to=detour.to,
        username=detour.username,
        password_file=detour.password_file,
        password_env=detour.password_env,
        tls=detour.tls,
        allow_unverified_login=detour.allow_unverified_login,
        source=detour.source,
    )


def check_detour_target(url: str) -> None:
    """What `parse_target` takes, and more: raises ValueError."""
    target: Target = parse_target(url)
    if target.lmtp:
        raise ValueError(f"{url!r} must begin with smtps:// or smtp://: a provider takes no LMTP")
    if target.port == BLOCKED_PORT:
        raise ValueError(
            f"{url!r} leads to port 25, which is what is blocked then; write smtps://{target.host}:465, "
            f"or smtp://{target.host}:587"
        )


def is_about_sender(reply: Reply, *, to_mail: bool) -> bool:
    """Rule 2. `to_mail`: it refused MAIL."""
    if not reply.is_permanent:
        return False
    about = reply.status[2:]
    if about in _ABOUT_SENDER:
        return True
    if to_mail:
        return not about.startswith(_ABOUT_LETTER) and reply.code != 552
    text = reply.text.lower()
    return any(words in text for words in _WORDS)
