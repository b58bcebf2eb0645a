"""What a detour's server says of our sender is no failure of the letter: it is held (`policy.detour`, rule 2).

Called by `site`, for hosts that are a detour alone; `settle` holds the letter and tells the postmaster.
"""

from __future__ import annotations

from ekiden.delivery.attempt import Attempt
from ekiden.policy.detour import is_about_sender
from ekiden.proto.smtp.client_events import TransactionEnded


def hold_refused_sender(attempt: Attempt, ended: TransactionEnded, remote: str) -> None:
    """Decides the recipients of the batch that are to be held; the others are as they are."""
    mail = ended.transaction.mail_reply
    to_mail = mail is not None and mail.is_permanent
    wanted = [place for place, reply in enumerate(ended.replies) if is_about_sender(reply, to_mail=to_mail)]
    if wanted:
        reason = f"detour: {remote} does not take <{attempt.claim.envelope.reverse_path}> as a sender of ours"
        attempt.hold(ended.replies, wanted, reason)
