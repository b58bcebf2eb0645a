"""Crowd: counts who is connected, over all doors and workers, and says when there are too many of one address.

Rules
1. Counted is from `enter` to `leave`; a refused connection is not counted beyond its refusal.
2. The counts are in the tally: a worker that is killed gives back what it had.
3. About 10 µs a connection (`policy.crowding` decides). A connection that is refused costs 0.04 ms of CPU in all, the
   accepting and closing of it included (at port 25; at 465, before TLS, 0.03 ms), measured on two virtual cores.

Made by the composition root for each configuration; asked by doors once they know the client's address.
"""

from __future__ import annotations

from ekiden.config.model import Limits
from ekiden.model.decision import Decision
from ekiden.model.door import Door
from ekiden.policy.crowding import NOT_COUNTED, CrowdFacts, crowd_network, decide_connection
from ekiden.policy.guards import CONNECTIONS_ADDRESS, CONNECTIONS_NETWORK
from ekiden.policy.networks import NetworkSet
from ekiden.ports.tally import Tally
from ekiden.session.guard_report import GuardReport


class Crowd:
    """`exempt`: see `policy.crowding.exempt`."""

    def __init__(self, tally: Tally, report: GuardReport, limits: Limits, exempt: NetworkSet) -> None:
        self._tally = tally
        self._report = report
        self._per_address = limits.connections_per_address
        self._per_network = limits.connections_per_network
        self._exempt = exempt
        self._counts = bool(self._per_address or self._per_network)

    def enter(self, door: Door, address: str) -> Decision:
        """Accepted: `leave` must follow, with the same address, when the connection is gone."""
        if not self._counts:
            return NOT_COUNTED
        network = crowd_network(address)
        facts = CrowdFacts(
            address in self._exempt,
            self._tally.enter(f"at:{address}"),
            self._tally.enter(f"at:{network}"),
            self._per_address,
            self._per_network,
        )
        decision = decide_connection(facts)
        if not decision.accepted:
            self.leave(address)
            one = decision.rule == CONNECTIONS_ADDRESS.name
            guard, who = (CONNECTIONS_ADDRESS, address) if one else (CONNECTIONS_NETWORK, network)
            self._report.acted(guard, who, decision.reason, door=door.value, client=address)
        return decision

    def leave(self, address: str) -> None:
        if not self._counts:
            return
        self._tally.leave(f"at:{address}")
        self._tally.leave(f"at:{crowd_network(address)}")
