"""What people are told when the brake is set. Pure. Called by `spool.brake`."""

from __future__ import annotations

from ekiden.message.notice import Notice

_POSTMASTER = """\
{account} suddenly sends otherwise than usual, as if its password were stolen:

  {reason}

Its letters are still accepted, but held; nothing that it sends leaves before you decide. It can still read its mail.

Look at what is held, and ask the owner by telephone rather than by mail:

  ekiden queue list --account {account} --state held

If it was the owner, send the letters on their way; what happened counts as usual from then on:

  ekiden brake release {account}

If the password was stolen, set another, or revoke the app password that was used, and send the letters back:

  ekiden account passwd {account}
  ekiden brake bounce {account} --revoke-app-password all

What nobody decides about goes back to its sender in the end ([delivery] hold_expire).
"""

_OWNER = """\
Letters that were sent with your login, {account}, look unusual: as if somebody else knew your password. They are held
until the postmaster has looked at them. Nothing is lost, and you can still read your mail.

If you sent them yourself, tell the postmaster, best by telephone.

If you did not, ask the postmaster for a new password at once.
"""


def to_postmaster(account: str, reason: str) -> Notice:
    subject = f"Held: letters from {account}"
    return Notice("brake", subject, _POSTMASTER.format(account=account, reason=reason), about=account)


def to_owner(account: str) -> Notice:
    text = _OWNER.format(account=account)
    return Notice("brake-owner", "Your letters are held for now", text, to=account, about=account)
