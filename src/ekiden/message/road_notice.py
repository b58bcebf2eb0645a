"""What the postmaster is told when the road to port 25 is blocked, and when a detour's provider refuses a sender. Pure.

Called by delivery (`road_watch`, `settle`); the letter itself is made by `message.notice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.message.notice import Notice
from ekiden.model.road_block import TROUBLES, RoadBlock

#: Kinds of notices.
BLOCKED: Final = "road.blocked"
SENDER_REFUSED: Final = "detour.sender-refused"


class Detour(NamedTuple):
    """What people are told of it. `to`: its targets, none if there is no detour. `without_spf`: domains of ours whose
    SPF record does not seem to name it."""

    to: Sequence[str] = ()
    without_spf: Sequence[str] = ()


_BLOCKED: Final = """\
{hostname} cannot reach port 25 of other mail servers over {family}: connections {trouble}. Connections to other ports \
work.

This is almost always a rule of the network that the server is in, called outbound port 25 blocking (OP25B). Providers \
of homes, offices and clouds set it against infected computers that send spam. Nothing is wrong with your server, and \
mail from outside still comes in.

What was seen:

{evidence}

{happens}

What you can do:

{to_do}

One of these hosts is asked every few minutes. When it answers, letters go directly again, by themselves; \
`ekiden events` tells it (road.open).
"""
_WAITS: Final = """\
Letters to other domains wait, without an attempt being counted; `ekiden queue list` shows them. Letters with a \
[[route]] of their own go as usual."""
_DETOUR: Final = "Letters to other domains now go through {to} ([delivery.detour])."
_NO_SPF: Final = """\

Warning: the SPF record of {domains} does not seem to name that server. Receivers may refuse these letters or take \
them for spam. Ask your provider what to add ("include:..."), and add it to the TXT record of the domain."""
_ASK: Final = """\
Ask your provider to open port 25 for your address. Many do so on request, or with a fixed address."""
_SET_UP: Final = """\
1. Send through your provider's server. It has another port, which is not blocked. Write into ekiden.toml

  [delivery.detour]
  to            = "smtps://smtp.provider.example:465"
  username      = "your-login"
  password_file = "/etc/ekiden/provider.secret"

and reload. Letters go that way only while port 25 is blocked.

2. {ask}

More of it: docs/op25b.md."""
_REFUSED: Final = """\
Port 25 is blocked here, so the letter {letter} from <{sender}> was handed to {remote}, which does not take that \
sender's address from us:

  {reply}

The letter is held: nothing was sent back to its sender. Tell the provider which addresses you send by, or use a \
detour that takes them ([delivery.detour]). Then

  ekiden queue release {letter}

Others may be held for the same reason: `ekiden queue list --state held` shows them. This is told once a day and \
sender.
"""


def blocked_notice(block: RoadBlock, hostname: str, detour: Detour) -> Notice:
    happens = _DETOUR.format(to=", ".join(detour.to)) if detour.to else _WAITS
    if detour.to and detour.without_spf:
        happens += "\n" + _NO_SPF.format(domains=", ".join(detour.without_spf))
    text = _BLOCKED.format(
        hostname=hostname,
        family=block.family,
        trouble=TROUBLES[block.kind],
        evidence="\n".join(f"  {line}" for line in block.evidence),
        happens=happens,
        to_do=_ASK if detour.to else _SET_UP.format(ask=_ASK),
    )
    return Notice(
        BLOCKED, f"This network blocks port 25: {hostname} cannot send mail directly", text, about=block.family
    )


def sender_refused_notice(letter: str, sender: str, remote: str, reply: str) -> Notice:
    text = _REFUSED.format(letter=letter, sender=sender, remote=remote, reply=reply)
    return Notice(
        SENDER_REFUSED, f"Held: {remote} does not take letters from {sender or 'the null sender'}", text, about=sender
    )
