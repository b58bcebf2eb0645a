"""What follows when a host does not want our mail over IPv6 (`policy.family`): the letter tries IPv4 before it fails.

Rules
1. The host is remembered: for a while its IPv4 addresses come first. Its IPv6 connections take no further letter. An
   event says what the host said, for the letter's trail tells only of the end.
2. A 5xx: the recipients that got it stay undecided and go again at once, which will be over IPv4. What that says is
   final. If no IPv4 connection comes about, a second refusal over IPv6 is final, too.
3. A 4xx: delayed as ever, and the next attempt goes over IPv4.

Called by a site for replies that came over IPv6 from a host of a road with IPv4 addresses, and by `opening`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.line import Line, line_of
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.delivery.surroundings import Surroundings
from ekiden.model.events import Ipv6Refused
from ekiden.model.ids import render_id
from ekiden.model.reply import Reply
from ekiden.policy.family import is_about_ipv6

#: Refusals over IPv6 after which a letter fails: a connection that was being opened may take it a second time.
REFUSALS: Final = 2


def leave_ipv6(
    attempt: Attempt,
    replies: Sequence[Reply],
    connection: SmtpConnection,
    lines: Mapping[SmtpConnection, Line],
    around: Surroundings,
) -> Collection[int]:
    """The recipients of the batch, by index in the leg, that go again at once."""
    ours = (connection.local.address,)
    about_us = [reply.code >= 400 and is_about_ipv6(reply, ours) for reply in replies]
    if not any(about_us):
        return ()
    host = line_of(connection).host
    around.memory.prefer_ipv4(host.name, around.clock.monotonic())
    around.events.emit(
        Ipv6Refused(
            host=host.name,
            remote=str(host),
            reply=str(replies[about_us.index(True)]),
            letter=render_id(attempt.claim.letter),
            leg=attempt.claim.leg.number,
        )
    )
    for line in lines.values():
        if line.host.or_ipv4 and line.host.name == host.name:
            line.most_letters = 0
    attempt.ipv6_refusals += 1
    if attempt.ipv6_refusals >= REFUSALS:
        return ()
    found = zip(attempt.batch, replies, about_us, strict=True)
    return [index for index, reply, is_about in found if is_about and reply.is_permanent]
