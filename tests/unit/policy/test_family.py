"""Which refusals over IPv6 are worth a try over IPv4."""

from __future__ import annotations

import pytest

from ekiden.model.reply import Reply
from ekiden.policy.family import is_about_ipv6

OURS = "2001:db8::25"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(550, "5.7.25", "no"),
        Reply(550, "5.7.26", "This mail is unauthenticated"),
        Reply(550, "5.7.23", "SPF"),
        Reply(550, "5.7.1", "[2a01:db8::1] Our system has detected that this message does", "not meet IPv6 sending"),
        Reply(554, "5.7.1", "The sending address does not have a PTR record."),
        Reply(554, "5.7.1", "Client host rejected: cannot find your reverse hostname, [2001:DB8::25]"),
        Reply(550, "5.7.0", "Missing rDNS"),
        Reply(450, "4.7.25", "Client host rejected: cannot find your reverse hostname"),
        Reply(421, "4.7.1", "no PTR"),
        Reply(550, "5.7.1", "Relaying denied. IP name lookup failed"),
        Reply(550, "5.7.606", "Access denied, banned sending IP [2001:DB8::25]"),
        Reply(521, "5.7.1", "Service unavailable; client [2001:db8::25] blocked"),
    ],
)
def test_about_our_address(reply: Reply) -> None:
    assert is_about_ipv6(reply, [OURS])


@pytest.mark.parametrize(
    "reply",
    [
        Reply(250, "2.0.0", "IPv6 is fine"),
        Reply(550, "5.1.1", "no such user, ipv6"),
        Reply(550, "", "IPv6 not wanted"),
        Reply(550, "5.7.1", "Relay access denied"),
        Reply(550, "5.7.1", "encrypted attachments are not taken"),
        Reply(550, "5.7.1", "the optr service says no"),
        Reply(550, "5.7.1", "blocked, see 192.0.2.25"),
        Reply(550, "5.7.20", "no DKIM signature"),
        Reply(550, "5.7.24", "SPF record broken"),
        Reply(550, "5.7.27", "null MX"),
        Reply(550, "5.7.13", "user disabled"),
    ],
)
def test_not_about_it(reply: Reply) -> None:
    assert not is_about_ipv6(reply, [OURS, "192.0.2.25", ""])
