"""Is a refusal about our IPv6 address, so that the same letter may well be welcome over IPv4? Pure.

Large providers ask more of IPv6 senders: reverse DNS, and SPF or DKIM that passes. Who set up IPv4 alone (reverse DNS,
`ip4:` in SPF, a reputation) is refused over IPv6 with 5.7.x, though nothing is wrong with the letter. So such a letter
tries IPv4 once before it fails.

Rules
1. Only x.7.x speaks of policy (RFC 3463 §3.8); 4.7.x says the same as 5.7.x, less firmly.
2. By its code alone: 5.7.25 (no valid reverse DNS; RFC 7372 §3.3), and what SPF alone or with others can have caused,
   as SPF judges the address: 5.7.23 (RFC 7372 §3.2) and 5.7.26 (§3.4).
   Not 5.7.20 to 5.7.22 (DKIM), 5.7.24 (an SPF record that cannot be read), 5.7.27 (the sender takes no mail): the
   address has no part in them.
3. Any other 5.7.x only if its text speaks of IPv6, of reverse DNS, or names an IPv6 address of ours: else it is about
   the sender, the recipient or the content, and a second try would only ask for the same refusal twice.

Called by delivery, for refusals over IPv6 alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ekiden.model.reply import Reply

#: Rule 2.
_BY_ADDRESS: Final = frozenset({"7.23", "7.25", "7.26"})
#: Rule 3, as Gmail, Outlook, Postfix, Sendmail, Exim and others write it.
_WORDS: Final = (
    "ipv6",
    "rdns",
    "reverse dns",
    "reverse lookup",
    "reverse hostname",
    "reverse host name",
    "reverse name",
    "name lookup failed",
)


def is_about_ipv6(reply: Reply, addresses: Iterable[str] = ()) -> bool:
    """`addresses`: ours, as the server saw them, if known."""
    about = reply.status[2:]
    if reply.is_positive or not about.startswith("7."):
        return False
    if about in _BY_ADDRESS:
        return True
    text = f" {reply.text.lower()} "
    return any(word in text for word in _WORDS) or _has_word(text, "ptr") or _names(text, addresses)


def _has_word(text: str, word: str) -> bool:
    """Standing alone, not as a part of another."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (text[start - 1].isalnum() or text[end].isalnum()):
            return True
        start = text.find(word, end)
    return False


def _names(text: str, addresses: Iterable[str]) -> bool:
    return any(":" in address and address.lower() in text for address in addresses)
