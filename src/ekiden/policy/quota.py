"""Quotas: how much a mailbox and a domain may hold. Pure.

Rules
1. An account's own quota (`ekiden account quota`) stands before `mailbox_quota` of its domain; 0 is none. `quota` of a
   domain is for all of its mailboxes together.
2. A letter that no longer fits is refused for now, 452 4.2.2 (RFC 3463 §3.3), at RCPT; its sender tries again. One that
   was taken (an alias, a full mailbox meanwhile) waits in the queue. Nothing is lost because somebody was on holiday.
3. Mail to the postmaster is taken whatever it holds (RFC 5321 §4.5.1), and so are our own notices.
4. From nine tenths on a mailbox is near its quota, and its owner is told, once until it is under eight tenths.

Called by `accounts.quotas`.
"""

from __future__ import annotations

from typing import Final

from ekiden.config.model import Domain
from ekiden.message.notice import Notice
from ekiden.model.decision import Decision, Verdict
from ekiden.model.reply import Reply
from ekiden.policy.guards import QUOTA

#: An account's own quota: as its domain says.
AS_DOMAIN: Final = -1
FULL: Final = Reply(452, "4.2.2", "The mailbox is full, please try again later")
ROOM: Final = Decision(Verdict.ACCEPT, QUOTA.name, "there is room")
_UNITS: Final = ("octets", "KiB", "MiB", "GiB", "TiB")


def mailbox_quota(own: int, domain: Domain | None) -> int:
    if own != AS_DOMAIN:
        return own
    return domain.mailbox_quota if domain is not None else 0


def fits(used: int, size: int, quota: int) -> bool:
    """`size`: of the letter, 0 if nobody said."""
    return not quota or used + max(size, 1) <= quota


def full(name: str, used: int, quota: int) -> Decision:
    reason = f"{name} holds {render_octets(used)} of {render_octets(quota)}"
    return Decision(Verdict.DEFER, QUOTA.name, reason, FULL)


def is_near(used: int, quota: int) -> bool:
    return bool(quota) and used * 10 >= quota * 9


def is_relaxed(used: int, quota: int) -> bool:
    return not quota or used * 10 < quota * 8


def near_notice(name: str, used: int, quota: int) -> Notice:
    """To the owner of a mailbox, or to the postmaster about a domain (`@domain`)."""
    held = f"{render_octets(used)} of {render_octets(quota)}"
    if name.startswith("@"):
        text = (
            f"All mailboxes of {name[1:]} together hold {held}. When they are full, letters to any of them wait with "
            "their senders, and come back to them after some days.\n\n"
            "More room: quota of the [[domain]] in the configuration. Who holds how much: ekiden account show ADDRESS."
        )
        return Notice("quota", f"{name[1:]} is nearly full", text, about=name)
    text = (
        f"Your mailbox {name} holds {held}. When it is full, letters to you wait with their senders, and go back to "
        "them after some days.\n\n"
        "Delete what you no longer need on the server, or ask your postmaster for more room. You get this letter once, "
        "until there is room again."
    )
    return Notice("quota", "Your mailbox is nearly full", text, to=name, about=name)


def render_octets(octets: int) -> str:
    """For people, such as `1.5 GiB`."""
    value, unit = float(octets), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{octets} {_UNITS[0]}" if not unit else f"{value:.1f} {_UNITS[unit]}".replace(".0 ", " ")
