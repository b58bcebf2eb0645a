"""The relay door (25): other mail servers bring mail for our domains. STARTTLS is offered, a login never is.

Clients of `[relay] trusted_networks` may relay anywhere; everybody else reaches only our own domains (policy/relay.py).
"""

from __future__ import annotations

from ekiden.session.conversation import Conversation
from ekiden.session.doorway import Doorway
from ekiden.session.smtp import SmtpSession


class RelaySession(SmtpSession):
    """Content passes unchanged but for the Received field on top (invariant 8)."""


def relay_conversation(doorway: Doorway) -> Conversation:
    return Conversation(doorway, RelaySession)
