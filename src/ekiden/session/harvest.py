"""Harvest: one SMTP session's recipients that do not exist, counted here and for the client's network.

Called by `session.smtp` when relay control said no; `policy.harvest` decides.
"""

from __future__ import annotations

from ekiden.model.decision import Decision
from ekiden.policy.guards import UNKNOWN_RECIPIENTS
from ekiden.policy.harvest import WINDOW, HarvestFacts, decide_unknown, is_unknown
from ekiden.policy.networks import client_network
from ekiden.session.doorway import Doorway


class Harvest:
    """`_tried`: at most one more than the limit."""

    __slots__ = ("_client", "_doorway", "_tried")

    def __init__(self, doorway: Doorway, client: str) -> None:
        self._doorway = doorway
        self._client = client
        self._tried: set[str] = set()

    def judge(self, mailbox: str, decision: Decision, *, privileged: bool) -> Decision:
        """What the client is told. `mailbox`: its key. `privileged`: a login or a trusted network."""
        doorway, network = self._doorway, client_network(self._client)
        limit = doorway.config.limits.unknown_recipients
        if privileged or not limit or not is_unknown(decision):
            return decision
        if len(self._tried) <= limit:
            self._tried.add(mailbox)
        known = 0
        if self._client not in doorway.shared:
            known = doorway.tally.add_distinct(f"unknown:{network}", mailbox.encode("utf-8", "surrogatepass"), WINDOW)
        judged = decide_unknown(decision, HarvestFacts(len(self._tried), known, limit))
        if judged is not decision:
            doorway.guards.acted(
                UNKNOWN_RECIPIENTS, network, judged.reason, door=doorway.door.value, client=self._client
            )
        return judged
