"""The relay door (25): other mail servers bring mail for our domains. STARTTLS is offered, a login never is.

Clients of `[relay] trusted_networks` may relay anywhere; everybody else reaches only our own domains (policy/relay.py).
"""

from __future__ import annotations

from ekiden.ports.wire import Wire
from ekiden.session.allowance import Allowance
from ekiden.session.conversation import Conversation
from ekiden.session.doorway import Doorway
from ekiden.session.smtp import SmtpSession


class RelaySession(SmtpSession):
    """Content passes unchanged but for the Received field on top (invariant 8)."""

    def __init__(self, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        if self.trusted:
            self.allowance = Allowance(self.doorway, self.client, profile=self.doorway.config.relay.profile)


def relay_conversation(doorway: Doorway) -> Conversation:
    return Conversation(doorway, RelaySession)
